//! The points there are, and how a test holds the work at one of them.
//!
//! *Invariant*: points are armed at one node, and nodes of one process do not see each other's. An armed
//! point stops one piece of work, once.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A point of the saga of an order. Those of an order are reached at its home, those of a product at
/// the product's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// The order is durable as *placing*; no product has been asked.
    OrderPlacing,
    /// One of the products has answered that it has reserved.
    OrderReservedOne,
    /// All products have.
    OrderReservedAll,
    /// The order is durable as placed; nobody has been told.
    OrderPlaced,
    /// The order is durable as refused; no product has been told.
    OrderRefused,
    /// A placed order has moved, durably; neither products nor whoever asked have been told.
    OrderMoved,
    /// A payment that came too late has got the order its units again, or was refunded, durably; nobody
    /// has been told.
    OrderRevived,
    /// One of the products has answered that it has settled.
    OrderSettledOne,
    /// All products have; that is not noted yet.
    OrderSettledAll,
    /// The product was asked to reserve; nothing is promised.
    ProductReserving,
    /// The commit of a reservation has ended, or was not needed; nobody has been told.
    ProductReserved,
    /// The product was told what has become of a reservation; nothing is done about it.
    ProductSettling,
    /// The commit of what settles a reservation has ended; nobody has been told.
    ProductSettled,
}

/// The points that are armed at one node.
#[derive(Clone, Debug, Default)]
pub struct FaultPoints(Arc<Mutex<HashMap<FaultPoint, Armed>>>);

#[derive(Debug)]
struct Armed {
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A point that is armed: holds the next work that reaches it.
///
/// Dropped before that, it holds nothing. Dropped afterwards, the work never goes on, as that of a
/// process that was killed.
#[derive(Debug)]
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl FaultPoints {
    /// Arms a point.
    pub fn hold(&self, point: FaultPoint) -> Held {
        let (told, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let armed = Armed {
            reached: told,
            released,
        };
        self.0.lock().insert(point, armed);
        Held { reached, release }
    }

    /// Stands still if the point is armed, until it is released.
    pub(crate) async fn reach(&self, point: FaultPoint) {
        let armed = self.0.lock().remove(&point);
        let Some(Armed { reached, released }) = armed else {
            return;
        };
        if reached.send(()).is_ok() && released.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Held {
    /// Waits until some work stands still at the point; `false` if none ever will.
    pub async fn reached(&mut self) -> bool {
        (&mut self.reached).await.is_ok()
    }

    /// Lets the work go on.
    pub fn release(self) {
        // Fails only if the work has ended meanwhile, with its runtime.
        let _ = self.release.send(());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_next_work_stands_still_until_it_is_released() {
        let points = FaultPoints::default();
        let mut held = points.hold(FaultPoint::OrderPlaced);
        points.reach(FaultPoint::OrderRefused).await;
        let mut work = Box::pin(points.reach(FaultPoint::OrderPlaced));
        assert_eq!((&mut work).now_or_never(), None);
        assert!(held.reached().await);
        points.reach(FaultPoint::OrderPlaced).await;
        held.release();
        work.await;
    }

    #[tokio::test]
    async fn what_nobody_releases_never_goes_on() {
        let points = FaultPoints::default();
        let held = points.hold(FaultPoint::OrderPlaced);
        let mut work = Box::pin(points.reach(FaultPoint::OrderPlaced));
        assert_eq!((&mut work).now_or_never(), None);
        drop(held);
        assert_eq!((&mut work).now_or_never(), None);
    }

    #[tokio::test]
    async fn a_point_that_is_let_go_of_holds_nothing() {
        let points = FaultPoints::default();
        drop(points.hold(FaultPoint::OrderPlaced));
        points.reach(FaultPoint::OrderPlaced).await;
    }
}
