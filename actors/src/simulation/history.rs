//! What clients asked for and were told, and when.

use std::time::Duration;

use holdfast_domain::{OrderId, Refusal};
use parking_lot::Mutex;

use super::executor::Executor;
use crate::command::Reply;

/// How often a client that needs another's answer looks for it.
const POLL: Duration = Duration::from_millis(10);

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done(Box<Reply>),
    Refused(Refusal),
    /// Something that no client may be told.
    Failed,
}

/// One ask's part of the history.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) began: Option<Duration>,
    pub(super) ended: Option<(Duration, Answer)>,
    /// There was nothing to ask for.
    pub(super) is_skipped: bool,
}

/// A history of asks, by number.
pub(super) struct History(Mutex<Vec<Entry>>);

impl History {
    pub(super) fn new(asks: usize) -> Self {
        Self(Mutex::new(vec![Entry::default(); asks]))
    }

    pub(super) fn begin(&self, ask: usize, at: Duration) {
        self.0.lock()[ask].began = Some(at);
    }

    pub(super) fn end(&self, ask: usize, at: Duration, answer: Answer) {
        self.0.lock()[ask].ended = Some((at, answer));
    }

    pub(super) fn skip(&self, ask: usize) {
        self.0.lock()[ask].is_skipped = true;
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }

    /// Waits until an ask that places an order is answered; `None` if it was refused.
    pub(super) async fn placed(&self, executor: &Executor, ask: usize) -> Option<OrderId> {
        loop {
            let ended = self.0.lock()[ask].ended.clone();
            match ended {
                Some((_, answer)) => return answer.order(),
                None => executor.sleep(POLL).await,
            }
        }
    }
}

impl Answer {
    /// Returns the order that the answer shows.
    pub(super) fn order(&self) -> Option<OrderId> {
        match self {
            Self::Done(reply) => match &**reply {
                Reply::Order(order) => Some(order.id),
                _ => None,
            },
            Self::Refused(_) | Self::Failed => None,
        }
    }

    /// Tells the answer in a few words.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Done(reply) => match &**reply {
                Reply::Order(order) => format!(
                    "order {} is {} at version {}",
                    order.id, order.status, order.version
                ),
                Reply::Adjusted(adjusted) => format!("stock {:?}", adjusted.level),
                Reply::Payment(payment) => format!("payment {}", payment.id),
                other => format!("{other:?}"),
            },
            Self::Refused(refusal) => format!("refused: {refusal:?}"),
            Self::Failed => "failed".to_owned(),
        }
    }
}
