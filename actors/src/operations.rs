//! Operations that were done before: finding their outcome, and telling a repeat from a reuse.

use aws_lc_rs::hmac;
use holdfast_domain::{Fingerprint, Operation, Refusal};
use holdfast_store::OperationRecord;

use crate::{
    command::{Answer, Reply},
    entity::{Context, Fault},
    lane::{self, Intent, LaneError, OperationIntent, Remembered},
    ports::Desk,
};

/// Makes the operation of a request that brought secrets.
///
/// The edge's fingerprint leaves secrets out, since it is stored; but another password makes another
/// request. So they are mixed in under the cluster's own secret, which the database does not hold:
/// whoever reads the fingerprint cannot try passwords on it.
pub(crate) fn with_secrets(context: &Context, operation: &Operation, secrets: &[&str]) -> Operation {
    let key = hmac::Key::new(hmac::HMAC_SHA256, context.shared.options.cookie.as_bytes());
    let mut mixed = hmac::Context::with_key(&key);
    mixed.update(b"fingerprint\0");
    mixed.update(&operation.fingerprint.0);
    for secret in secrets {
        mixed.update(&(secret.len() as u64).to_be_bytes());
        mixed.update(secret.as_bytes());
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(mixed.sign().as_ref());
    Operation {
        fingerprint: Fingerprint(fingerprint),
        ..operation.clone()
    }
}

/// What an operation is remembered by.
type Stored = Result<Reply, Refusal>;

/// Makes the record by which an operation's outcome is remembered.
pub(crate) fn record(context: &Context, operation: &Operation, stored: &Stored) -> OperationRecord {
    OperationRecord {
        operation: operation.clone(),
        outcome: encode(stored),
        at: context.now(),
    }
}

/// Writes an outcome down.
pub(crate) fn encode(stored: &Stored) -> String {
    // Replies and refusals are plain data; serialising one cannot fail.
    serde_json::to_string(stored).unwrap_or_else(|_| "null".to_owned())
}

/// Looks an operation up.
///
/// Returns its answer, marked as a repeat; or that its key belongs to another request; or nothing.
pub(crate) async fn find(desk: &Desk, operation: &Operation) -> Result<Option<Answer>, Fault> {
    let (principal, route) = (operation.principal, operation.route.clone());
    let found = desk.ports.operation(principal, route, operation.key.clone());
    let Some(found) = found.await? else {
        return Ok(None);
    };
    if found.fingerprint != operation.fingerprint {
        return Ok(Some(Answer::now(Err(Refusal::IdempotencyKeyReuse))));
    }
    let result: Stored = serde_json::from_str(&found.outcome).map_err(|error| {
        tracing::error!(%error, "a stored outcome cannot be read");
        Fault::Lost
    })?;
    Ok(Some(Answer {
        result,
        replayed: operation.named_by_client,
    }))
}

/// Remembers that a request was answered without changing anything, and returns the answer.
pub(crate) async fn noted(desk: &Desk, operation: &Operation, reply: Reply) -> Result<Answer, Fault> {
    remember(desk, operation, Ok(reply)).await
}

/// Remembers a refusal that is final for its key, and returns it.
///
/// Only keys that a client gave are remembered: nobody can ask again under the others.
pub(crate) async fn refuse(desk: &Desk, operation: &Operation, refusal: Refusal) -> Result<Answer, Fault> {
    if refusal.is_remembered() {
        return remember(desk, operation, Err(refusal)).await;
    }
    Ok(Answer::now(Err(refusal)))
}

async fn remember(desk: &Desk, operation: &Operation, result: Stored) -> Result<Answer, Fault> {
    if operation.named_by_client {
        let remembered = match &result {
            Ok(reply) => Remembered::Reply(Box::new(reply.clone())),
            Err(refusal) => Remembered::Refusal(refusal.clone()),
        };
        let intent = Intent {
            leases: vec![desk.lease],
            operation: Some(OperationIntent {
                operation: operation.clone(),
                remembered,
                at: desk.now(),
            }),
            ..Intent::default()
        };
        match desk.commit(intent, Vec::new()).await {
            Ok(_) => {}
            Err(lane::Fault::Lane(LaneError::Duplicate)) => {
                return find(desk, operation).await?.ok_or(Fault::Conflict);
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(Answer::now(result))
}
