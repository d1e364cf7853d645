//! Accounts and their credentials.

use std::fmt;

use holdfast_domain::{Email, Event, SessionId, Timestamp, User, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Lease, OperationRecord, Page, PageRequest, Store, StoreError, decode, event};

/// An account to be made.
#[derive(Clone)]
pub struct NewAccount {
    /// The account, at version 1.
    pub user: User,
    /// The password's hash, in PHC format.
    pub password_hash: String,
    /// Tells that it was made.
    pub registered: Event,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An account and what proves that somebody may use it.
#[derive(Clone)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// The password's hash, in PHC format.
    pub password_hash: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A new password.
#[derive(Clone)]
pub struct PasswordChange {
    /// The account.
    pub user_id: UserId,
    /// The account's version, which a password does not move.
    pub expected_version: i64,
    /// The new password's hash, in PHC format.
    pub password_hash: String,
    /// The session that asked, which goes on; all others end.
    pub keep_session: Option<SessionId>,
    /// When.
    pub at: Timestamp,
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordChange")
            .field("user_id", &self.user_id)
            .field("expected_version", &self.expected_version)
            .field("keep_session", &self.keep_session)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

struct UserRow {
    user_id: Uuid,
    email: String,
    display_name: String,
    role: String,
    email_verified: bool,
    disabled: bool,
    password_hash: String,
    created_at: OffsetDateTime,
    version: i64,
}

impl TryFrom<UserRow> for Credentials {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let email = Email::parse(&row.email).map_err(|error| {
            StoreError::corrupt(format_args!("email of user {}: {}", row.user_id, error.message))
        })?;
        Ok(Self {
            user: User {
                id: UserId(row.user_id),
                email,
                display_name: row.display_name,
                role: decode::parsed("app_user.role", &row.role)?,
                email_verified: row.email_verified,
                disabled: row.disabled,
                created_at: row.created_at.into(),
                version: row.version,
            },
            password_hash: row.password_hash,
        })
    }
}

/// Selects accounts; the argument is the rest of the statement.
macro_rules! select_users {
    ($rest:tt, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            UserRow,
            "SELECT user_id, email, display_name, role, email_verified, disabled, password_hash, created_at, \
             version FROM app_user " + $rest,
            $($argument),*
        )
    };
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    /// [`StoreError::EmailTaken`]: another account has the address.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn user_register(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        account: &NewAccount,
    ) -> Result<(), StoreError> {
        let operation = OperationRecord::json(operation)?;
        let events = event::json(std::slice::from_ref(&account.registered))?;
        let user = &account.user;
        self.run(async |c| {
            sqlx::query!(
                "SELECT user_register($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9, $10, $11::text::jsonb)",
                lease.node_id.0,
                lease.epoch,
                operation,
                user.id.0,
                user.email.as_str(),
                user.display_name,
                user.role.as_str(),
                user.email_verified,
                account.password_hash,
                decode::instant(user.created_at),
                events,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Reads an account.
    pub async fn user(&self, user_id: UserId) -> Result<Option<User>, StoreError> {
        let credentials = self.credentials(user_id).await?;
        Ok(credentials.map(|credentials| credentials.user))
    }

    /// Finds an account by its address.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                select_users!("WHERE email = $1", email.as_str())
                    .fetch_optional(c)
                    .await
            })
            .await?;
        let credentials = row.map(Credentials::try_from).transpose()?;
        Ok(credentials.map(|credentials| credentials.user))
    }

    /// Reads an account with its password's hash.
    pub async fn credentials(&self, user_id: UserId) -> Result<Option<Credentials>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                select_users!("WHERE user_id = $1", user_id.0)
                    .fetch_optional(c)
                    .await
            })
            .await?;
        row.map(Credentials::try_from).transpose()
    }

    /// Lists all accounts, newest first.
    pub async fn users_list(&self, request: &PageRequest<UserId>) -> Result<Page<User, UserId>, StoreError> {
        let rows = self
            .run(async |c| {
                select_users!(
                    "WHERE $1::uuid IS NULL OR user_id < $1 ORDER BY user_id DESC LIMIT $2",
                    request.after.map(|id| id.0) as Option<Uuid>,
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let user = |row| Credentials::try_from(row).map(|credentials| credentials.user);
        let users = rows.into_iter().map(user).collect::<Result<_, _>>()?;
        Ok(request.page(users, |user: &User| user.id))
    }

    /// Writes an edited account; the version before was one less. A new role, and the end of all its
    /// sessions if it is disabled by this, are told to all nodes in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    /// [`StoreError::Version`]: the account is at another version.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn user_update(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        user: &User,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let operation = OperationRecord::json(operation)?;
        self.run(async |c| {
            sqlx::query!(
                "SELECT user_update($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9, $10)",
                lease.node_id.0,
                lease.epoch,
                operation,
                user.id.0,
                user.display_name,
                user.role.as_str(),
                user.email_verified,
                user.disabled,
                user.version,
                decode::instant(at),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Replaces an account's password and ends its other sessions; returns those that it ended.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    /// [`StoreError::Version`]: the account is at another version.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn password_set(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        change: &PasswordChange,
    ) -> Result<Vec<SessionId>, StoreError> {
        let operation = OperationRecord::json(operation)?;
        let ended = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT password_set($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8) AS "ended!""#,
                    lease.node_id.0,
                    lease.epoch,
                    operation,
                    change.user_id.0,
                    change.expected_version,
                    change.password_hash,
                    change.keep_session.map(|id| id.0),
                    decode::instant(change.at),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(ended.into_iter().map(SessionId).collect())
    }
}
