//! Requests that run under a key of their client's: a repeat waits for the first, and is told when that
//! takes too long.
//!
//! Nothing's correctness rests on this - a key is unique in the database - but whoever asks again must
//! not be told that the shop is unavailable while it is busy with that very request.
//!
//! *Invariant*: an entry lives as long as the work, which goes on when whoever waited for it has gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use holdfast_domain::{Operation, OperationKey};
use tokio::sync::watch;
use uuid::Uuid;

/// An operation's scope and name.
type Name = (Uuid, String, OperationKey);

/// The keys that are being worked on at this node.
#[derive(Clone, Debug, Default)]
pub(crate) struct InProgress(Arc<Mutex<HashMap<Name, watch::Receiver<()>>>>);

/// A key that is being worked on; dropped when the work has ended.
#[derive(Debug)]
pub(crate) struct Entry {
    all: InProgress,
    name: Name,
    /// Closes with the entry, which wakes those who wait.
    _running: watch::Sender<()>,
}

/// Resolves when the work on a key has ended.
#[derive(Debug)]
pub(crate) struct Running(watch::Receiver<()>);

impl InProgress {
    /// Enters an operation, unless it is being worked on.
    pub(crate) fn enter(&self, operation: &Operation) -> Result<Entry, Running> {
        let name = (
            operation.principal,
            operation.route.clone(),
            operation.key.clone(),
        );
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = all.get(&name) {
            return Err(Running(running.clone()));
        }
        let (sender, receiver) = watch::channel(());
        all.insert(name.clone(), receiver);
        Ok(Entry {
            all: self.clone(),
            name,
            _running: sender,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.name);
    }
}

impl Running {
    /// Waits until the work has ended.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent: an error says that the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Fingerprint;

    use super::*;

    fn operation(key: u128) -> Operation {
        Operation {
            principal: Uuid::nil(),
            route: "POST /v1/orders".to_owned(),
            key: OperationKey::made(Uuid::from_u128(key)),
            fingerprint: Fingerprint([0; 32]),
            named_by_client: true,
        }
    }

    #[tokio::test]
    async fn a_repeat_waits_until_the_first_has_ended() {
        let all = InProgress::default();
        let first = all.enter(&operation(1)).expect("nobody works on it");
        all.enter(&operation(2)).expect("another key is free");
        let running = all.enter(&operation(1)).expect_err("it is worked on");
        let waiting = tokio::spawn(running.ended());
        drop(first);
        waiting.await.expect("it has ended");
        all.enter(&operation(1)).expect("nobody works on it any more");
    }
}
