//! A node's ports: the database, the lane, the router and tasks of the runtime.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use holdfast_domain::{
    OperationKey, Order, OrderId, PaymentId, PaymentProvider, Product, ProductId, Reservation, StockLevel,
    Timestamp, UserId,
};
use holdfast_store::{Lease, OrderRecord, Service, StoredOperation};
use tracing::Instrument;
use uuid::Uuid;

use super::shared::Inner;
use crate::{
    Error,
    command::{CallContext, Done, Reply, Request},
    entity::{Fault, Outcome},
    lane::{self, Intent},
    ports::{Asked, LocalProduct, Ports},
    product::Hold,
    router,
};

impl Ports for Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn entropy(&self) -> [u8; 10] {
        rand::random()
    }

    fn payment_deadline(&self) -> Duration {
        self.options.payment_deadline
    }

    fn commit(
        &self,
        intent: Intent,
        holds: Vec<Hold>,
    ) -> BoxFuture<'_, Result<Vec<StockLevel>, lane::Fault>> {
        Box::pin(async move {
            #[cfg(feature = "fault-points")]
            if self.options.open_gate == Some(crate::OpenGate::Answers) {
                return lane::submit(&self.lane(), intent, holds);
            }
            lane::commit(&self.lane(), intent, holds).await
        })
    }

    fn serving(self: Arc<Self>, product: ProductId) -> Result<Option<LocalProduct>, Fault> {
        let Some(shard) = self.shards.serving(Service::Products, product.shard()) else {
            return Ok(None);
        };
        let resident = shard.product(&self, product)?;
        Ok(Some(LocalProduct {
            lease: shard.lease(),
            shelf: Arc::new(resident.actor().clone()),
            _guard: Box::new((shard.enter()?, resident)),
        }))
    }

    fn route(
        self: Arc<Self>,
        request: Request,
        budget: Duration,
    ) -> BoxFuture<'static, Result<Done<Reply>, Error>> {
        let call = CallContext {
            traceparent: None,
            budget,
        };
        Box::pin(async move { router::route(&self, request, &call, None).await })
    }

    fn detach(&self, work: BoxFuture<'static, Outcome>) -> BoxFuture<'static, Outcome> {
        // A task of its own, of the same trace.
        let task = tokio::spawn(work.in_current_span());
        Box::pin(async move { task.await.unwrap_or(Err(Fault::Lost)) })
    }

    fn products(&self, ids: Vec<ProductId>) -> Asked<'_, Vec<Product>> {
        Box::pin(async move {
            let found = self.store.products(&ids).await?;
            Ok(found.into_iter().map(|found| found.product).collect())
        })
    }

    fn order(&self, id: OrderId) -> Asked<'_, Option<OrderRecord>> {
        Box::pin(async move { Ok(self.store.order_record(id).await?) })
    }

    fn order_by_key(&self, customer: UserId, key: OperationKey) -> Asked<'_, Option<OrderRecord>> {
        Box::pin(async move { Ok(self.store.order_by_key(customer, &key).await?) })
    }

    fn placed_snapshot(&self, id: OrderId) -> Asked<'_, Option<Order>> {
        Box::pin(async move { Ok(self.store.placed_snapshot(id).await?) })
    }

    fn reservation(&self, product: ProductId, order: OrderId) -> Asked<'_, Option<Reservation>> {
        Box::pin(async move { Ok(self.store.reservation(product, order).await?) })
    }

    fn operation(
        &self,
        principal: Uuid,
        route: String,
        key: OperationKey,
    ) -> Asked<'_, Option<StoredOperation>> {
        Box::pin(async move { Ok(self.store.operation(principal, &route, &key).await?) })
    }

    fn payment_is_known(
        &self,
        order: OrderId,
        provider: PaymentProvider,
        reference: String,
    ) -> Asked<'_, bool> {
        Box::pin(async move { Ok(self.store.payment_is_known(order, provider, &reference).await?) })
    }

    fn payment_name(&self, order: OrderId, payment: PaymentId) -> Asked<'_, Option<String>> {
        Box::pin(async move { Ok(self.store.payment_name(order, payment).await?) })
    }

    fn order_settled(&self, lease: Lease, order: OrderId, version: i64) -> Asked<'_, bool> {
        Box::pin(async move { Ok(self.store.order_settled(&lease, order, version).await?) })
    }

    #[cfg(feature = "fault-points")]
    fn reach(&self, point: crate::FaultPoint) -> BoxFuture<'_, ()> {
        Box::pin(self.options.fault_points.reach(point))
    }
}
