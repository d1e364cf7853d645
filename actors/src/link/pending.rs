//! Calls that went out in batches and wait for their answers.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ractor::concurrency::{OneshotReceiver, OneshotSender, oneshot};

/// Who waits for which answer. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Pending {
    waiting: Arc<Mutex<HashMap<u64, OneshotSender<Vec<u8>>>>>,
}

impl Pending {
    /// Expects the answer to call `id`, for as long as the [`Expected`] is kept.
    pub(super) fn expect(&self, id: u64) -> (OneshotReceiver<Vec<u8>>, Expected) {
        let (sender, answer) = oneshot();
        self.waiting.lock().insert(id, sender);
        let expected = Expected {
            pending: self.clone(),
            id,
        };
        (answer, expected)
    }

    /// Hands an answer to whoever waits for it; nobody need.
    pub(super) fn answer(&self, id: u64, frame: Vec<u8>) {
        let waiting = self.waiting.lock().remove(&id);
        if let Some(sender) = waiting {
            // Fails only if the caller has stopped waiting.
            let _ = sender.send(frame);
        }
    }
}

/// Keeps a call among the pending ones.
pub(super) struct Expected {
    pending: Pending,
    id: u64,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.pending.waiting.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_who_waits_for_it_once() {
        let pending = Pending::default();
        let (answer, _expected) = pending.expect(7);
        pending.answer(8, b"another's".to_vec());
        pending.answer(7, b"mine".to_vec());
        pending.answer(7, b"again".to_vec());
        assert_eq!(answer.await.unwrap(), b"mine");
    }

    #[test]
    fn a_call_that_is_given_up_is_forgotten() {
        let pending = Pending::default();
        drop(pending.expect(7));
        assert!(pending.waiting.lock().is_empty());
    }
}
