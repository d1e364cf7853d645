//! Ports: everything that selling cannot decide by itself.
//!
//! Placing, settling, reserving and moving are written as steps that ask a [`Desk`] for what they
//! need. They know no database, no clock, no randomness and no tasks: on a node the ports lead to all
//! of these, and in a [simulation](crate::simulation) to a model of the store and a seeded schedule.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use holdfast_domain::{
    OperationKey, Order, OrderId, PaymentId, PaymentProvider, Product, ProductId, Reservation, StockLevel,
    Timestamp, UserId,
};
use holdfast_store::{Lease, OrderRecord, StoredOperation};
use uuid::Uuid;

use crate::{
    Error,
    command::{Done, Reply, Request},
    entity::{Fault, Outcome},
    lane::{self, Intent},
    product::{Hold, Shelf},
};

/// What a decision works with: where it asks, and the ownership under which it writes.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Where it asks.
    pub(crate) ports: Arc<dyn Ports>,
    /// The ownership under which it writes.
    pub(crate) lease: Lease,
}

/// What a port comes to.
pub(crate) type Asked<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// Where a decision gets what it cannot know.
pub(crate) trait Ports: Send + Sync {
    /// Returns the time on the database's clock.
    fn now(&self) -> Timestamp;

    /// Returns what makes the next id unlike any other.
    fn entropy(&self) -> [u8; 10];

    /// Returns how long an order may go unpaid.
    fn payment_deadline(&self) -> Duration;

    /// Commits an intent, which uses up promises: one for each of its stock intents.
    fn commit(&self, intent: Intent, holds: Vec<Hold>)
    -> BoxFuture<'_, Result<Vec<StockLevel>, lane::Fault>>;

    /// Returns a product if this node serves it.
    fn serving(self: Arc<Self>, product: ProductId) -> Result<Option<LocalProduct>, Fault>;

    /// Asks another entity, wherever it lives.
    fn route(
        self: Arc<Self>,
        request: Request,
        budget: Duration,
    ) -> BoxFuture<'static, Result<Done<Reply>, Error>>;

    /// Goes on with some work even if nobody waits for it any more.
    fn detach(&self, work: BoxFuture<'static, Outcome>) -> BoxFuture<'static, Outcome>;

    /// Reads products.
    fn products(&self, ids: Vec<ProductId>) -> Asked<'_, Vec<Product>>;

    /// Reads an order's row.
    fn order(&self, id: OrderId) -> Asked<'_, Option<OrderRecord>>;

    /// Finds the order that a customer's key has made.
    fn order_by_key(&self, customer: UserId, key: OperationKey) -> Asked<'_, Option<OrderRecord>>;

    /// Reads an order as it was when it was placed.
    fn placed_snapshot(&self, id: OrderId) -> Asked<'_, Option<Order>>;

    /// Reads a reservation.
    fn reservation(&self, product: ProductId, order: OrderId) -> Asked<'_, Option<Reservation>>;

    /// Finds an operation that was recorded.
    fn operation(
        &self,
        principal: Uuid,
        route: String,
        key: OperationKey,
    ) -> Asked<'_, Option<StoredOperation>>;

    /// Tells whether an order's events tell that a payment, by its provider's own name, was captured.
    fn payment_is_known(
        &self,
        order: OrderId,
        provider: PaymentProvider,
        reference: String,
    ) -> Asked<'_, bool>;

    /// Returns the last name by which an order's events call one of its payments.
    fn payment_name(&self, order: OrderId, payment: PaymentId) -> Asked<'_, Option<String>>;

    /// Notes that all products have settled with an order at a version; `false` if it has moved on.
    fn order_settled(&self, lease: Lease, order: OrderId, version: i64) -> Asked<'_, bool>;

    /// Stands still where a test wants the work to; a simulation stops work by means of its own.
    #[cfg(feature = "fault-points")]
    fn reach(&self, _: crate::FaultPoint) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A product that this node serves, kept from being passivated or handed over.
pub(crate) struct LocalProduct {
    /// The ownership under which it writes.
    pub(crate) lease: Lease,
    /// Where its units are promised.
    pub(crate) shelf: Arc<dyn Shelf>,
    /// Keeps it here for as long as this lives.
    pub(crate) _guard: Box<dyn Send + Sync>,
}

impl Desk {
    /// Returns the time on the database's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.now()
    }

    /// Commits an intent; see [`Ports::commit`].
    pub(crate) async fn commit(
        &self,
        intent: Intent,
        holds: Vec<Hold>,
    ) -> Result<Vec<StockLevel>, lane::Fault> {
        self.ports.commit(intent, holds).await
    }

    /// Asks another entity; see [`Ports::route`].
    pub(crate) fn route(
        &self,
        request: Request,
        budget: Duration,
    ) -> BoxFuture<'static, Result<Done<Reply>, Error>> {
        Arc::clone(&self.ports).route(request, budget)
    }
}
