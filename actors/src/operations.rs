//! Operations that were done before: finding their outcome, and telling a repeat from a reuse.

use holdfast_domain::{Operation, Refusal};
use holdfast_store::OperationRecord;

use crate::{
    command::{Answer, Reply},
    entity::{Context, Fault},
    lane::{self, Intent, LaneError, OperationIntent, Remembered},
};

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
pub(crate) async fn find(context: &Context, operation: &Operation) -> Result<Option<Answer>, Fault> {
    let store = &context.shared.store;
    let Some(found) = store
        .operation(operation.principal, &operation.route, &operation.key)
        .await?
    else {
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

/// Remembers a refusal that is final for its key, and returns it.
///
/// Only keys that a client gave are remembered: nobody can ask again under the others.
pub(crate) async fn refuse(
    context: &Context,
    operation: &Operation,
    refusal: Refusal,
) -> Result<Answer, Fault> {
    if operation.named_by_client && refusal.is_remembered() {
        let intent = Intent {
            leases: vec![context.lease],
            operation: Some(OperationIntent {
                operation: operation.clone(),
                remembered: Remembered::Refusal(refusal.clone()),
                at: context.now(),
            }),
            ..Intent::default()
        };
        match lane::commit(&context.lane(), intent, Vec::new()).await {
            Ok(_) => {}
            Err(lane::Fault::Lane(LaneError::Duplicate)) => {
                return find(context, operation).await?.ok_or(Fault::Conflict);
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(Answer::now(Err(refusal)))
}
