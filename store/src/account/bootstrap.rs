//! The first administrator, made before any node runs.

use crate::{NewAccount, Store, StoreError, decode, event};

impl Store {
    /// Makes an administrator's account if there is no administrator; returns whether it did.
    ///
    /// Not fenced: an empty shop has no owner of anything yet. Of racing callers one succeeds.
    ///
    /// # Errors
    /// [`StoreError::EmailTaken`]: somebody else has registered with the address.
    pub async fn admin_bootstrap(&self, account: &NewAccount) -> Result<bool, StoreError> {
        let events = event::json(std::slice::from_ref(&account.registered))?;
        let user = &account.user;
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT admin_bootstrap($1, $2, $3, $4, $5, $6, $7::text::jsonb) AS "made!""#,
                user.id.0,
                user.email.as_str(),
                user.display_name,
                user.email_verified,
                account.password_hash,
                decode::instant(user.created_at),
                events,
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}
