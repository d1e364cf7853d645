//! Sessions: made at login, rotated at refresh, ended at logout.

use holdfast_domain::{Session, SessionId, Timestamp, UserId, session::TokenHash};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Lease, OperationRecord, Page, PageRequest, Store, StoreError, decode};

struct SessionRow {
    session_id: Uuid,
    user_id: Uuid,
    refresh_hash: Vec<u8>,
    used_hashes: Vec<Vec<u8>>,
    created_at: OffsetDateTime,
    last_used_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    user_agent: String,
    ip: String,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let used = |hash: &Vec<u8>| decode::sha256("session.used_hashes", hash).map(TokenHash);
        Ok(Self {
            id: SessionId(row.session_id),
            user_id: UserId(row.user_id),
            current: TokenHash(decode::sha256("session.refresh_hash", &row.refresh_hash)?),
            used: row.used_hashes.iter().map(used).collect::<Result<_, _>>()?,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.into(),
            expires_at: row.expires_at.into(),
            revoked_at: row.revoked_at.map(Timestamp::from),
            user_agent: row.user_agent,
            ip: row.ip,
        })
    }
}

/// Selects sessions; the argument is the rest of the statement.
macro_rules! select_sessions {
    ($rest:tt, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            SessionRow,
            "SELECT session_id, user_id, refresh_hash, used_hashes, created_at, last_used_at, expires_at, \
             revoked_at, user_agent, ip FROM session " + $rest,
            $($argument),*
        )
    };
}

impl Store {
    /// Writes a new session and forgets the account's failed logins. Writing the very same session
    /// again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    /// [`StoreError::NotFound`]: there is no such account, or it is disabled.
    pub async fn session_create(&self, lease: &Lease, session: &Session) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT session_create($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                lease.node_id.0,
                lease.epoch,
                session.id.0,
                session.user_id.0,
                session.current.0.as_slice(),
                decode::instant(session.created_at),
                decode::instant(session.expires_at),
                session.user_agent,
                session.ip,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Reads a session.
    pub async fn session(&self, session_id: SessionId) -> Result<Option<Session>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                select_sessions!("WHERE session_id = $1", session_id.0)
                    .fetch_optional(c)
                    .await
            })
            .await?;
        row.map(Session::try_from).transpose()
    }

    /// Lists a user's sessions that are live at `at`, newest first.
    pub async fn sessions_of(
        &self,
        user_id: UserId,
        at: Timestamp,
        request: &PageRequest<SessionId>,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let rows = self
            .run(async |c| {
                select_sessions!(
                    "WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
                     AND ($3::uuid IS NULL OR session_id < $3) ORDER BY session_id DESC LIMIT $4",
                    user_id.0,
                    decode::instant(at),
                    request.after.map(|id| id.0) as Option<Uuid>,
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let sessions = rows
            .into_iter()
            .map(Session::try_from)
            .collect::<Result<_, _>>()?;
        Ok(request.page(sessions, |session: &Session| session.id))
    }

    /// Writes a rotated or ended session whose current token was `expected`. Ending it is told to all
    /// nodes in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    /// [`StoreError::Version`]: its current token is another one, or it has ended.
    pub async fn session_save(
        &self,
        lease: &Lease,
        session: &Session,
        expected: TokenHash,
    ) -> Result<(), StoreError> {
        let used: Vec<Vec<u8>> = session.used.iter().map(|hash| hash.0.to_vec()).collect();
        self.run(async |c| {
            sqlx::query!(
                "SELECT session_save($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                lease.node_id.0,
                lease.epoch,
                session.id.0,
                session.user_id.0,
                expected.0.as_slice(),
                session.current.0.as_slice(),
                &used,
                decode::instant(session.last_used_at),
                decode::instant(session.expires_at),
                session.revoked_at.map(decode::instant),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Ends a user's live sessions, but for `except`; returns those that it ended. All nodes are told
    /// in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the account's shard.
    pub async fn sessions_revoke_all(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        user_id: UserId,
        except: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let operation = OperationRecord::json(operation)?;
        let ended = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT sessions_revoke_all($1, $2, $3::text::jsonb, $4, $5, $6) AS "ended!""#,
                    lease.node_id.0,
                    lease.epoch,
                    operation,
                    user_id.0,
                    except.map(|id| id.0),
                    decode::instant(at),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(ended.into_iter().map(SessionId).collect())
    }

    /// Deletes up to `limit` sessions whose last refresh token expired a day ago; returns how many.
    pub async fn sessions_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT sessions_purge($1) AS "purged!""#, i64::from(limit))
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
