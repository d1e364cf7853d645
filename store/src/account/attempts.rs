//! Failed logins, by account or by the phantom id of an e-mail address that has none.

use holdfast_domain::{UserId, account::LoginAttempts};

use crate::{Lease, Store, StoreError, decode};

impl Store {
    /// Reads how often logging in has failed; none if nothing is recorded.
    pub async fn login_attempts(&self, account_id: UserId) -> Result<LoginAttempts, StoreError> {
        let row = self
            .run(async |c| {
                sqlx::query!(
                    "SELECT failures, window_started_at FROM login_attempt WHERE account_id = $1",
                    account_id.0,
                )
                .fetch_optional(c)
                .await
            })
            .await?;
        let Some(row) = row else {
            return Ok(LoginAttempts::none());
        };
        Ok(LoginAttempts {
            failures: decode::count("login_attempt.failures", row.failures)?,
            window_started_at: row.window_started_at.into(),
        })
    }

    /// Records how often logging in has failed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    pub async fn login_attempts_save(
        &self,
        lease: &Lease,
        account_id: UserId,
        attempts: LoginAttempts,
    ) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT login_attempts_save($1, $2, $3, $4, $5)",
                lease.node_id.0,
                lease.epoch,
                account_id.0,
                i64::from(attempts.failures),
                decode::instant(attempts.window_started_at),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Deletes up to `limit` counts whose window began more than an hour ago; returns how many.
    pub async fn login_attempts_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT login_attempts_purge($1) AS "purged!""#,
                    i64::from(limit)
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
