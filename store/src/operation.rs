//! Operations: what a request did, kept under the name that its client or an edge gave it.

use std::fmt::Write;

use holdfast_domain::{Fingerprint, Operation, OperationKey, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::{Store, StoreError, decode};

/// An operation and its outcome, to be written in the same commit as its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// The operation.
    pub operation: Operation,
    /// What to answer to a repeat, as JSON text.
    pub outcome: String,
    /// When it was done.
    pub at: Timestamp,
}

/// What was recorded of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOperation {
    /// What the request asked for.
    pub fingerprint: Fingerprint,
    /// What it was answered, as JSON text.
    pub outcome: String,
}

impl OperationRecord {
    /// Writes the record as the fenced functions take it.
    pub(crate) fn json(record: Option<&Self>) -> Result<Option<String>, StoreError> {
        #[derive(Serialize)]
        struct Columns<'a> {
            principal: Uuid,
            route: &'a str,
            key: &'a str,
            fingerprint: String,
            outcome: &'a str,
            at: Timestamp,
        }
        let Some(Self {
            operation,
            outcome,
            at,
        }) = record
        else {
            return Ok(None);
        };
        decode::json(&Columns {
            principal: operation.principal,
            route: &operation.route,
            key: operation.key.as_str(),
            fingerprint: hex(&operation.fingerprint.0),
            outcome,
            at: *at,
        })
        .map(Some)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Store {
    /// Finds what was recorded of an operation; `None`: it has not been done, or longer ago than
    /// operations are kept.
    pub async fn operation(
        &self,
        principal: Uuid,
        route: &str,
        key: &OperationKey,
    ) -> Result<Option<StoredOperation>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                sqlx::query!(
                    r#"SELECT fingerprint, outcome::text AS "outcome!"
                       FROM operation WHERE principal = $1 AND route = $2 AND key = $3"#,
                    principal,
                    route,
                    key.as_str(),
                )
                .fetch_optional(c)
                .await
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(StoredOperation {
            fingerprint: Fingerprint(decode::sha256("operation.fingerprint", &row.fingerprint)?),
            outcome: row.outcome,
        }))
    }

    /// Deletes up to `limit` operations that are older than 48 hours; returns how many.
    pub async fn operations_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT operations_purge($1) AS "purged!""#, i64::from(limit))
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
