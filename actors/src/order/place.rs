//! Placing an order at its home.
//!
//! If this node owns every product, their promises and the order become one intent: all lines are
//! reserved, or none is, by one commit. Otherwise the order is a [saga].
//!
//! A key that was used before is noticed by its uniqueness, not looked up beforehand: the common case
//! pays nothing for it. Only a refusal that would not be remembered looks first.

use std::sync::Arc;

use holdfast_domain::{
    Caller, FieldError, MovementId, MovementKind, Operation, Order, OrderStatus, Product, ProductId, Refusal,
    Reservation, Shortage,
    order::{self, NewOrder, WantedLine},
    stock::{Progress, StockChange},
};
use holdfast_store::{OrderExpected, OrderRecord, OrderState, OrderWrite, ReservationWrite};

use super::{moves::events_of, saga};
use crate::{
    command::{Answer, By, Reply},
    entity::{Fault, Outcome, done, refused},
    fault_point::fault_point,
    lane::{self, Intent, LaneError, StockIntent},
    ports::{Desk, LocalProduct},
    product::{Hold, HoldAnswer, Shelf, Wanted},
};

/// Places an order.
pub(crate) async fn place(desk: &Desk, by: By, new: NewOrder) -> Outcome {
    if new.customer_id != by.caller.user_id {
        return refused(Refusal::Forbidden);
    }
    if let Err(refusal) = new.check() {
        return Box::pin(refuse_forgettably(desk, &by, refusal)).await;
    }
    // Boxed, as what is rare is below: orders that need it not would carry the room for it.
    match local_products(desk, &new.lines)? {
        Some(products) => place_here(desk, &by, &new, products).await,
        None => Box::pin(saga::place(desk, &by, &new)).await,
    }
}

/// Finds all products, if this node owns them all.
fn local_products(desk: &Desk, lines: &[WantedLine]) -> Result<Option<Vec<LocalProduct>>, Fault> {
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        match Arc::clone(&desk.ports).serving(line.product_id)? {
            Some(local) => found.push(local),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// What the products of an order answered, in the order of its lines.
#[derive(Default)]
struct Held {
    products: Vec<Arc<Product>>,
    stock: Vec<(holdfast_domain::StockLevel, Hold)>,
    short: Vec<Shortage>,
    unknown: Vec<FieldError>,
}

async fn place_here(desk: &Desk, by: &By, new: &NewOrder, products: Vec<LocalProduct>) -> Outcome {
    let mut held = Held::default();
    // By ascending product id, like everybody: two orders never wait for each other's promises.
    for (index, (line, local)) in new.lines.iter().zip(&products).enumerate() {
        held.ask(index, *line, &*local.shelf).await?;
    }
    if !held.unknown.is_empty() {
        held.give_back();
        return Box::pin(refuse_forgettably(desk, by, Refusal::Invalid(held.unknown))).await;
    }
    let deadline = desk.ports.payment_deadline();
    let change = match order::place(new, &held.products, desk.now(), deadline) {
        Ok(_) if !held.short.is_empty() => {
            held.give_back();
            let refusal = Refusal::InsufficientStock(held.short);
            return Box::pin(refuse(desk, by, new, &held.products, refusal)).await;
        }
        Ok(change) => change,
        Err(refusal @ Refusal::PriceChanged { .. }) => {
            held.give_back();
            return Box::pin(refuse(desk, by, new, &held.products, refusal)).await;
        }
        Err(refusal) => {
            held.give_back();
            return Box::pin(refuse_forgettably(desk, by, refusal)).await;
        }
    };
    let mut leases = vec![desk.lease];
    leases.extend(products.iter().map(|local| local.lease));
    let (mut stock, mut reservations, mut holds) = (Vec::new(), Vec::new(), Vec::new());
    for ((line, product), (base, hold)) in new.lines.iter().zip(&held.products).zip(held.stock) {
        stock.push(StockIntent {
            base,
            changes: vec![reserve(desk, &by.caller, new, *line)],
            only_at: None,
            low_stock_threshold: product.low_stock_threshold,
        });
        reservations.push(ReservationWrite {
            reservation: reservation(new, *line, product),
            before: None,
        });
        holds.push(hold);
    }
    let record = record(&change.order, &by.operation, OrderState::Placed);
    let intent = Intent {
        leases,
        stock,
        reservations,
        events: events_of(desk, &change, 0),
        order: Some(OrderWrite {
            record,
            expected: OrderExpected::Absent,
        }),
        ..Intent::default()
    };
    match desk.commit(intent, holds).await {
        Ok(_) => {
            fault_point!(desk, OrderPlaced);
            done(Reply::Order(change.order))
        }
        Err(lane::Fault::Lane(LaneError::Duplicate)) => Box::pin(repeated(desk, by)).await,
        Err(fault) => Err(fault.into()),
    }
}

impl Held {
    /// Frees what is promised, before a refusal: what answers it may want the same units, for the key
    /// may belong to an order that is still being placed.
    fn give_back(&mut self) {
        self.stock.clear();
    }

    async fn ask(&mut self, index: usize, line: WantedLine, shelf: &dyn Shelf) -> Result<(), Fault> {
        let units = line.quantity.get();
        match crate::product::want(shelf, Wanted { units })
            .await
            .ok_or(Fault::Lost)?
        {
            HoldAnswer::Held { product, base, hold } => {
                self.products.push(product);
                self.stock.push((base, hold));
            }
            HoldAnswer::Short { product, available } => {
                self.short.push(Shortage {
                    product_id: line.product_id,
                    requested: units,
                    available,
                });
                self.products.push(product);
            }
            HoldAnswer::NoSuchProduct => self.unknown.push(unknown_product(index)),
            HoldAnswer::Overloaded => return Err(Fault::Overloaded),
        }
        Ok(())
    }
}

/// Says that a line's product is not for sale, in the same words whether it exists or not.
pub(super) fn unknown_product(index: usize) -> FieldError {
    FieldError::new(
        format!("/lines/{index}/product_id"),
        "is not a product that is for sale",
    )
}

fn reserve(desk: &Desk, caller: &Caller, new: &NewOrder, line: WantedLine) -> StockChange {
    StockChange {
        movement_id: MovementId::mint(desk.now(), desk.ports.entropy()),
        kind: MovementKind::Reserve,
        delta_on_hand: 0,
        delta_reserved: i64::from(line.quantity.get()),
        order_id: Some(new.id),
        reason: None,
        note: None,
        actor_id: caller.user_id,
        at: desk.now(),
    }
}

fn reservation(new: &NewOrder, line: WantedLine, product: &Product) -> Reservation {
    Reservation {
        product_id: line.product_id,
        order_id: new.id,
        seller_id: product.seller_id,
        quantity: line.quantity,
        round: 0,
        progress: Progress::default(),
    }
}

/// Makes an order's row.
pub(super) fn record(order: &Order, operation: &Operation, state: OrderState) -> OrderRecord {
    OrderRecord {
        order: order.clone(),
        state,
        operation_key: operation.key.clone(),
        fingerprint: operation.fingerprint,
        unsettled: false,
        round: 0,
    }
}

/// Refuses an order and remembers it, so that its key never places one.
async fn refuse(
    desk: &Desk,
    by: &By,
    new: &NewOrder,
    products: &[Arc<Product>],
    refusal: Refusal,
) -> Outcome {
    let expectless = NewOrder {
        expected_total: None,
        ..new.clone()
    };
    let deadline = desk.ports.payment_deadline();
    let order = match order::place(&expectless, products, desk.now(), deadline) {
        Ok(change) => change.order,
        Err(other) => return refuse_forgettably(desk, by, other).await,
    };
    let record = record(&order, &by.operation, OrderState::Refused(refusal.clone()));
    let intent = Intent {
        leases: vec![desk.lease],
        order: Some(OrderWrite {
            record,
            expected: OrderExpected::Absent,
        }),
        ..Intent::default()
    };
    match desk.commit(intent, Vec::new()).await {
        Ok(_) => refused(refusal),
        Err(lane::Fault::Lane(LaneError::Duplicate)) => repeated(desk, by).await,
        Err(fault) => Err(fault.into()),
    }
}

/// Refuses an order without remembering it - unless its key has made one already.
pub(super) async fn refuse_forgettably(desk: &Desk, by: &By, refusal: Refusal) -> Outcome {
    match find(desk, &by.operation, by.caller).await? {
        Some(record) => answer_for(desk, by, record).await,
        None => refused(refusal),
    }
}

async fn find(desk: &Desk, operation: &Operation, caller: Caller) -> Result<Option<OrderRecord>, Fault> {
    desk.ports
        .order_by_key(caller.user_id, operation.key.clone())
        .await
}

/// Answers for a key that has been used.
pub(super) async fn repeated(desk: &Desk, by: &By) -> Outcome {
    match find(desk, &by.operation, by.caller).await? {
        Some(record) => answer_for(desk, by, record).await,
        None => Err(Fault::Conflict),
    }
}

/// Answers as the first request with this key was answered.
async fn answer_for(desk: &Desk, by: &By, record: OrderRecord) -> Outcome {
    if record.fingerprint != by.operation.fingerprint {
        return refused(Refusal::IdempotencyKeyReuse);
    }
    let is_as_placed = record.order.version == 1 && record.order.status == OrderStatus::PendingPayment;
    let result = match record.state {
        OrderState::Refused(refusal) => Err(refusal),
        OrderState::Placing { .. } => saga::join(desk, record).await?.result,
        OrderState::Placed if is_as_placed => Ok(Reply::Order(record.order)),
        OrderState::Placed => {
            let snapshot = desk.ports.placed_snapshot(record.order.id).await?;
            Ok(Reply::Order(snapshot.unwrap_or(record.order)))
        }
    };
    Ok(Answer {
        result,
        replayed: by.operation.named_by_client,
    })
}

/// Lists the products of an order's lines.
pub(super) fn product_ids(new: &NewOrder) -> Vec<ProductId> {
    new.lines.iter().map(|line| line.product_id).collect()
}
