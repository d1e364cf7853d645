//! Placing an order whose products have several owners.
//!
//! 1. The home commits the order as *placing*, with its key and a deadline.
//! 2. Every product's owner durably reserves, whether asked once or often. Owners answer at once and
//!    never wait for each other, so that no two orders can.
//! 3. The commit point: a compare-and-set of the order from *placing* to placed, or to refused. Who
//!    loses it obeys the winner.
//! 4. After a refusal the reservations are given back.
//!
//! Every step may be repeated. Whoever finds an order *placing* - a client's retry, or the sweeper of
//! a new home - drives it forward from step 2.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use holdfast_domain::{
    FieldError, Order, Quantity, Refusal,
    order::{self, Change, NewOrder},
};
use holdfast_store::{OrderExpected, OrderRecord, OrderState, OrderWrite};

use super::{
    moves::events_of,
    place::{product_ids, record, refuse_forgettably, repeated, unknown_product},
    settle,
};
use crate::{
    Error,
    command::{By, ProductCommand, Reply, Request, Reserve},
    entity::{Fault, Outcome, done, refused},
    fault_point::fault_point,
    lane::{self, Intent, LaneError},
    ports::Desk,
};

/// How long the products' owners may take to reserve.
const RESERVE_BUDGET: Duration = Duration::from_millis(1_500);

/// How long a saga may be at work before others take it up.
const PLACE_DEADLINE: Duration = Duration::from_secs(5);

/// Places an order whose products have several owners.
pub(super) async fn place(desk: &Desk, by: &By, new: &NewOrder) -> Outcome {
    // Read before anything is written: what is wrong with a request leaves no trace.
    let products = desk.ports.products(product_ids(new)).await?;
    let unknown: Vec<FieldError> = new
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| products.iter().all(|product| product.id != line.product_id))
        .map(|(index, _)| unknown_product(index))
        .collect();
    if !unknown.is_empty() {
        return refuse_forgettably(desk, by, Refusal::Invalid(unknown)).await;
    }
    let deadline = desk.ports.payment_deadline();
    let (change, verdict) = match order::place(new, &products, desk.now(), deadline) {
        Ok(change) => (change, None),
        Err(refusal @ Refusal::PriceChanged { .. }) => {
            let expectless = NewOrder {
                expected_total: None,
                ..new.clone()
            };
            match order::place(&expectless, &products, desk.now(), deadline) {
                Ok(change) => (change, Some(refusal)),
                Err(other) => return refuse_forgettably(desk, by, other).await,
            }
        }
        Err(refusal) => return refuse_forgettably(desk, by, refusal).await,
    };
    let state = match verdict.clone() {
        Some(refusal) => OrderState::Refused(refusal),
        None => OrderState::Placing {
            deadline: desk.now().plus(PLACE_DEADLINE),
        },
    };
    let record = record(&change.order, &by.operation, state);
    match write(desk, &record, OrderExpected::Absent, None).await {
        Ok(()) => {
            if let Some(refusal) = verdict {
                return refused(refusal);
            }
            fault_point!(desk, OrderPlacing);
            detach(desk, record).await
        }
        Err(lane::Fault::Lane(LaneError::Duplicate)) => repeated(desk, by).await,
        Err(fault) => Err(fault.into()),
    }
}

/// Takes up an order that somebody began to place.
pub(super) async fn join(desk: &Desk, record: OrderRecord) -> Outcome {
    detach(desk, record).await
}

/// Drives an order to its end in a task of its own: a client that goes away does not stop it.
async fn detach(desk: &Desk, record: OrderRecord) -> Outcome {
    let (ports, desk) = (Arc::clone(&desk.ports), desk.clone());
    ports
        .detach(Box::pin(async move { drive(&desk, record).await }))
        .await
}

/// Drives an order that is being placed to its end, from wherever it stands.
///
/// Boxed, since it asks the router for products, which may lead back to an order.
pub(super) fn drive(desk: &Desk, record: OrderRecord) -> BoxFuture<'_, Outcome> {
    Box::pin(drive_on(desk, record))
}

async fn drive_on(desk: &Desk, record: OrderRecord) -> Outcome {
    match reserve_all(desk, &record, RESERVE_BUDGET).await? {
        Ok(()) => {
            fault_point!(desk, OrderReservedAll);
            let change = place_now(&record.order, desk);
            let next = OrderRecord {
                order: change.order.clone(),
                state: OrderState::Placed,
                ..record
            };
            decide(desk, next, Some(&change)).await
        }
        Err(refusal) => {
            let next = OrderRecord {
                state: OrderState::Refused(refusal),
                unsettled: true,
                ..record
            };
            decide(desk, next, None).await
        }
    }
}

/// The commit point. Whoever was faster is obeyed.
async fn decide(desk: &Desk, mut next: OrderRecord, change: Option<&Change>) -> Outcome {
    match write(desk, &next, OrderExpected::Placing, change).await {
        Ok(()) => {}
        Err(lane::Fault::Lane(LaneError::Moved)) => {
            let found = desk.ports.order(next.order.id).await?;
            next = found.ok_or(Fault::Lost)?;
        }
        Err(fault) => return Err(fault.into()),
    }
    match next.state.clone() {
        OrderState::Placed if change.is_some() && next.order.version == 1 => {
            fault_point!(desk, OrderPlaced);
            done(Reply::Order(next.order))
        }
        OrderState::Placed => {
            let snapshot = desk.ports.placed_snapshot(next.order.id).await?;
            done(Reply::Order(snapshot.unwrap_or(next.order)))
        }
        OrderState::Refused(refusal) => {
            fault_point!(desk, OrderRefused);
            if next.unsettled {
                settle::settle(desk, &mut next, settle::WHILE_ASKED).await;
            }
            refused(refusal)
        }
        OrderState::Placing { .. } => Err(Fault::Conflict),
    }
}

/// Asks every product to reserve in the order's round; returns the refusal of those that would not.
pub(super) async fn reserve_all(
    desk: &Desk,
    record: &OrderRecord,
    budget: Duration,
) -> Result<Result<(), Refusal>, Fault> {
    let OrderRecord { order, round, .. } = record;
    let asked = order.lines.iter().filter_map(|line| {
        let reserve = Reserve {
            product_id: line.product_id,
            order_id: order.id,
            quantity: Quantity::new(line.quantity)?,
            customer_id: order.customer_id,
        };
        let request = Request::Product(match *round {
            0 => ProductCommand::Reserve(reserve),
            round => ProductCommand::ReserveAnew(reserve, round),
        });
        let reserving = desk.route(request, budget);
        Some(async move {
            let answer = reserving.await;
            if answer.is_ok() {
                fault_point!(desk, OrderReservedOne);
            }
            answer
        })
    });
    let (mut short, mut other) = (Vec::new(), None);
    for answer in join_all(asked.collect::<Vec<_>>()).await {
        match answer {
            Ok(_) => {}
            Err(Error::Refused {
                refusal: Refusal::InsufficientStock(lines),
                ..
            }) => short.extend(lines),
            Err(Error::Refused { refusal, .. }) => other = Some(refusal),
            // Unknown for now: the order stays as it is, and somebody drives it on.
            Err(Error::Unavailable { .. } | Error::WrongReply) => return Err(Fault::Lost),
            Err(Error::Store(error)) => return Err(Fault::Store(error)),
        }
    }
    Ok(match (short.is_empty(), other) {
        (false, _) => Err(Refusal::InsufficientStock(short)),
        (true, Some(refusal)) => Err(refusal),
        (true, None) => Ok(()),
    })
}

/// Makes the change that places the order as of now: waiting for the products costs no payment time.
fn place_now(order: &Order, desk: &Desk) -> Change {
    order::placed(order.clone(), desk.now(), desk.ports.payment_deadline())
}

async fn write(
    desk: &Desk,
    record: &OrderRecord,
    expected: OrderExpected,
    change: Option<&Change>,
) -> Result<(), lane::Fault> {
    let intent = Intent {
        leases: vec![desk.lease],
        order: Some(OrderWrite {
            record: record.clone(),
            expected,
        }),
        events: change.map_or_else(Vec::new, |change| events_of(desk, change, 0)),
        ..Intent::default()
    };
    desk.commit(intent, Vec::new()).await.map(|_| ())
}
