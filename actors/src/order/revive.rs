//! An order that was paid after it had expired: getting its units again, or giving the money back.
//!
//! 1. The payment is durable with the order, which asks for its units in a new round.
//! 2. Every product's owner durably reserves in that round, whether asked once or often.
//! 3. The commit point: a compare-and-set of the order to confirmed, or to refunded.
//! 4. After a refund the reservations are given back, and barred where they were not made.
//!
//! Whoever finds an order after step 1 drives it forward from step 2. That there is one outcome follows
//! from its version alone.

use std::time::Duration;

use holdfast_domain::order;
use holdfast_store::OrderRecord;

use super::{
    moves::{intent, moved},
    saga, settle,
};
use crate::{entity::Fault, fault_point::fault_point, ports::Desk};

/// Brings an order that waits for its units to its end, if all of its products answer within `budget`.
pub(super) async fn revive(desk: &Desk, record: &mut OrderRecord, budget: Duration) -> Result<(), Fault> {
    let decided = match saga::reserve_all(desk, record, budget).await {
        Ok(Ok(())) => {
            fault_point!(desk, OrderReservedAll);
            order::revive(&record.order, desk.now())
        }
        Ok(Err(_short)) => order::refund_late(&record.order, desk.now()),
        Err(fault) => {
            let order = record.order.id;
            tracing::warn!(%order, error = &fault as &dyn std::error::Error, "a late payment waits for a product");
            return Ok(());
        }
    };
    let change = decided.map_err(|_| Fault::Conflict)?;
    let next = OrderRecord {
        // All products have reserved, or have yet to be told to give back.
        unsettled: change.unsettled,
        ..moved(record, &change)
    };
    let intent = intent(desk, record, &next, &change);
    desk.commit(intent, Vec::new()).await?;
    fault_point!(desk, OrderRevived);
    *record = next;
    if record.unsettled {
        settle::settle(desk, record, budget).await;
    }
    Ok(())
}
