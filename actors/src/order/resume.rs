//! Going on with what a lost owner, or a lost message, left undone.

use holdfast_domain::{ShardId, order};
use holdfast_store::{OrderRecord, OrderState, Service};
use rand::seq::SliceRandom as _;

use super::{
    moves::{intent, moved},
    revive, saga, settle,
};
use crate::{
    command::{CallContext, OrderCommand, Reply, Request},
    entity::{Outcome, done},
    fault_point::fault_point,
    node::Shared,
    ports::Desk,
    router,
};

/// Orders of each kind of unfinished work that are taken up at once.
const SWEEP_MAX: u32 = 128;
/// Shards that are looked at together once there is more to do than fits one look: orders that fail to
/// settle, however many, hide only those of their neighbours.
const SWEEP_SHARDS: usize = 16;

/// Finds the orders of this node's shards that have something left to do, and asks them to do it.
///
/// Run by a timer and after every claim. It only proposes: each order decides on what stands, in a task
/// of its own, so that one which takes long holds up no other.
pub(crate) async fn sweep(shared: &Shared) {
    let mut shards = shared.shards.owned(Service::Orders);
    if shards.is_empty() || sweep_shards(shared, &shards).await < SWEEP_MAX as usize {
        return;
    }
    shards.shuffle(&mut rand::rng());
    for some in shards.chunks(SWEEP_SHARDS) {
        sweep_shards(shared, some).await;
    }
}

/// Takes up what some shards have left to do; returns how many orders that were.
async fn sweep_shards(shared: &Shared, shards: &[ShardId]) -> usize {
    let unfinished = match shared.store.orders_unfinished(shards, SWEEP_MAX).await {
        Ok(unfinished) => unfinished,
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "no sweep for unfinished orders"
            );
            return 0;
        }
    };
    let found = unfinished.len();
    for found in unfinished {
        let Some(turn) = shared.resuming.begin(found.order_id) else {
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let request = Request::Order(OrderCommand::Resume(found.order_id));
            let call = CallContext {
                traceparent: None,
                budget: shared.options.call_budget,
            };
            if let Err(error) = router::route(&shared, request, &call, None).await {
                let order = found.order_id;
                tracing::debug!(%order, work = ?found.work, %error, "an order stays unfinished for now");
            }
            drop(turn);
        });
    }
    found
}

pub(super) async fn handle(desk: &Desk, record: &mut OrderRecord) -> Outcome {
    if matches!(record.state, OrderState::Placing { .. }) {
        // Its answer goes to nobody; what matters is that the order comes to an end.
        let _ = saga::drive(desk, record.clone()).await?;
        return done(Reply::Ended);
    }
    if record.state == OrderState::Placed
        && let Ok(change) = order::expire(&record.order, desk.now())
    {
        let next = moved(record, &change);
        let intent = intent(desk, record, &next, &change);
        desk.commit(intent, Vec::new()).await?;
        fault_point!(desk, OrderMoved);
        *record = next;
    }
    if record.order.awaits_units() {
        revive::revive(desk, record, settle::IN_PEACE).await?;
    } else if record.unsettled {
        settle::settle(desk, record, settle::IN_PEACE).await;
    }
    done(Reply::Ended)
}
