//! Who is being resumed: each order once at a time, and only so many.
//!
//! An order whose product does not answer takes as long as a call may. Nobody waits for it: the next
//! round finds those that have something to do since, and passes over those that are at it.

use std::{collections::HashSet, sync::Arc};

use holdfast_domain::OrderId;
use parking_lot::Mutex;

/// Orders that are resumed at once by one node.
const ORDERS_MAX: usize = 1_024;

/// The orders that are being resumed.
#[derive(Default)]
pub(crate) struct Resuming(Mutex<HashSet<OrderId>>);

/// An order's turn, which ends when this is dropped.
pub(super) struct Turn {
    resuming: Arc<Resuming>,
    order: OrderId,
}

impl Resuming {
    /// Gives an order its turn, unless it has one or too many have.
    pub(super) fn begin(self: &Arc<Self>, order: OrderId) -> Option<Turn> {
        let orders = &mut *self.0.lock();
        (orders.len() < ORDERS_MAX && orders.insert(order)).then(|| Turn {
            resuming: Arc::clone(self),
            order,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.resuming.0.lock().remove(&self.order);
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Timestamp;

    use super::*;

    fn order(n: usize) -> OrderId {
        let mut entropy = [0; 10];
        entropy[..8].copy_from_slice(&(n as u64).to_be_bytes());
        OrderId::mint(Timestamp::UNIX_EPOCH, entropy)
    }

    #[test]
    fn an_order_is_resumed_once_at_a_time() {
        let resuming = Arc::new(Resuming::default());
        let turn = resuming.begin(order(1));
        assert!(turn.is_some() && resuming.begin(order(1)).is_none());
        assert!(resuming.begin(order(2)).is_some(), "others are not held up");
        drop(turn);
        assert!(resuming.begin(order(1)).is_some());
    }

    #[test]
    fn only_so_many_are_resumed_at_once() {
        let resuming = Arc::new(Resuming::default());
        let mut turns: Vec<_> = (0..ORDERS_MAX).map(|n| resuming.begin(order(n))).collect();
        assert!(turns.iter().all(Option::is_some));
        assert!(resuming.begin(order(ORDERS_MAX)).is_none());
        turns.pop();
        assert!(resuming.begin(order(ORDERS_MAX)).is_some());
    }
}
