//! Changes of access: the feed by which every node learns of ended sessions and new roles.
//!
//! The feed is read by transaction id and not by time: a commit that took long has an old id, so the
//! reader goes back to the oldest transaction that was still running when it last read.

use holdfast_domain::{Role, SessionId, Timestamp, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError, decode};

/// A change that makes access tokens say too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// A session has ended: its tokens are good no more.
    SessionEnded {
        /// The session.
        session_id: SessionId,
        /// When it ended.
        at: Timestamp,
    },
    /// A user has another role than tokens made before `at` say.
    RoleChanged {
        /// The account.
        user_id: UserId,
        /// The role that it has now.
        role: Role,
        /// When it changed.
        at: Timestamp,
    },
}

/// How far the feed has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessCursor(u64);

impl AccessCursor {
    /// Begins with the oldest change that is kept.
    pub const START: Self = Self(0);
}

/// Changes since a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessChanges {
    /// The changes, oldest first. Some may have been read before: applying them again is harmless.
    pub changes: Vec<AccessChange>,
    /// Where to read on.
    pub next: AccessCursor,
}

/// A row of the feed; there is one without a subject if there is no change.
struct AccessRow {
    next: String,
    kind: Option<String>,
    subject: Option<Uuid>,
    role: Option<String>,
    at: Option<OffsetDateTime>,
}

impl AccessRow {
    fn change(&self) -> Result<Option<AccessChange>, StoreError> {
        let (Some(kind), Some(subject), Some(at)) = (&self.kind, self.subject, self.at) else {
            return Ok(None);
        };
        let at = Timestamp::from(at);
        let change = match (kind.as_str(), &self.role) {
            ("session_ended", None) => AccessChange::SessionEnded {
                session_id: SessionId(subject),
                at,
            },
            ("role_changed", Some(role)) => AccessChange::RoleChanged {
                user_id: UserId(subject),
                role: decode::parsed("access_change.role", role)?,
                at,
            },
            _ => {
                return Err(StoreError::corrupt(format_args!(
                    "access change of kind {kind:?}"
                )));
            }
        };
        Ok(Some(change))
    }
}

impl Store {
    /// Reads the changes of access since `after`. None is missed, however late its commit.
    pub async fn access_changes(&self, after: AccessCursor) -> Result<AccessChanges, StoreError> {
        // The horizon is taken from the same snapshot as the rows: whatever it cannot see yet has an
        // id that is not below it.
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    AccessRow,
                    r#"SELECT horizon.next AS "next!", change.kind AS "kind?", change.subject AS "subject?",
                              change.role AS "role?", change.at AS "at?"
                       FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS next) AS horizon
                       LEFT JOIN access_change AS change ON change.xid >= $1::text::xid8
                       ORDER BY change.xid"#,
                    after.0.to_string(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let horizon = rows
            .first()
            .ok_or_else(|| StoreError::corrupt("no horizon of access changes"))?;
        Ok(AccessChanges {
            next: AccessCursor(decode::parsed("xmin", &horizon.next)?),
            changes: rows
                .iter()
                .filter_map(|row| row.change().transpose())
                .collect::<Result<_, _>>()?,
        })
    }

    /// Deletes up to `limit` changes that are older than 15 minutes, which is longer than any access
    /// token lives; returns how many.
    pub async fn access_changes_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT access_changes_purge($1) AS "purged!""#,
                    i64::from(limit)
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
