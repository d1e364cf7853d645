//! A process's ports: the model, the lane's queue, the simulated network and the seed.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use holdfast_domain::{
    OperationKey, Order, OrderId, PaymentId, PaymentProvider, Product, ProductId, Reservation, StockLevel,
    Timestamp, UserId,
};
use holdfast_store::{Lease, OrderRecord, Service, StoredOperation, model::Model};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{PAYMENT_DEADLINE, Process};
use crate::{
    Error,
    command::{Done, Reply, Request},
    entity::{Fault, Outcome},
    lane::{self, Intent, LaneMessage, Ticket},
    ports::{Asked, LocalProduct, Ports},
    product::Hold,
};

impl Process {
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Model, Timestamp) -> T + Send + 'static,
    ) -> Asked<'_, T> {
        Box::pin(async move { Ok(self.world.database.ask(self.node, read).await?) })
    }
}

impl Ports for Process {
    fn now(&self) -> Timestamp {
        let (reading, taken_at) = *self.reading.lock();
        let elapsed = self.world.executor.now().saturating_sub(taken_at);
        reading.plus(self.world.drifted(self.node, elapsed))
    }

    fn entropy(&self) -> [u8; 10] {
        self.world.entropy()
    }

    fn payment_deadline(&self) -> Duration {
        PAYMENT_DEADLINE
    }

    fn commit(
        &self,
        intent: Intent,
        holds: Vec<Hold>,
    ) -> BoxFuture<'_, Result<Vec<StockLevel>, lane::Fault>> {
        Box::pin(async move {
            let (reply, settled) = oneshot::channel();
            let ticket = Ticket::new(holds, reply);
            #[cfg(test)]
            let early = self.world.answers_early().then(|| intent.hoped_for());
            self.lane
                .send(LaneMessage::Submit(Box::new(intent), ticket))
                .map_err(|_| lane::Fault::Lost)?;
            #[cfg(test)]
            if let Some(answer) = early {
                return Ok(answer);
            }
            let settled = settled.await.map_err(|_| lane::Fault::Lost)?;
            settled.map_err(lane::Fault::Lane)
        })
    }

    fn serving(self: Arc<Self>, product: ProductId) -> Result<Option<LocalProduct>, Fault> {
        let open = self.shards.get(Service::Products, product.shard());
        let Some(shard) = open.filter(|shard| shard.is_serving()) else {
            return Ok(None);
        };
        Ok(Some(LocalProduct {
            lease: shard.lease,
            shelf: Arc::new(self.shelf(shard.lease, product)),
            _guard: Box::new(shard.enter()?),
        }))
    }

    fn route(
        self: Arc<Self>,
        request: Request,
        budget: Duration,
    ) -> BoxFuture<'static, Result<Done<Reply>, Error>> {
        Box::pin(async move { self.pursue(request, budget).await })
    }

    fn detach(&self, work: BoxFuture<'static, Outcome>) -> BoxFuture<'static, Outcome> {
        let (done, outcome) = oneshot::channel();
        self.spawn(async move {
            let _ = done.send(work.await);
        });
        Box::pin(async move { outcome.await.unwrap_or(Err(Fault::Lost)) })
    }

    fn products(&self, ids: Vec<ProductId>) -> Asked<'_, Vec<Product>> {
        self.read(move |model, _| {
            let found = model.products(&ids);
            found.into_iter().map(|found| found.product).collect()
        })
    }

    fn order(&self, id: OrderId) -> Asked<'_, Option<OrderRecord>> {
        self.read(move |model, _| model.order_record(id))
    }

    fn order_by_key(&self, customer: UserId, key: OperationKey) -> Asked<'_, Option<OrderRecord>> {
        self.read(move |model, _| model.order_by_key(customer, &key))
    }

    fn placed_snapshot(&self, id: OrderId) -> Asked<'_, Option<Order>> {
        Box::pin(async move { Ok(self.read(move |model, _| model.placed_snapshot(id)).await??) })
    }

    fn reservation(&self, product: ProductId, order: OrderId) -> Asked<'_, Option<Reservation>> {
        self.read(move |model, _| model.reservation(product, order))
    }

    fn operation(
        &self,
        principal: Uuid,
        route: String,
        key: OperationKey,
    ) -> Asked<'_, Option<StoredOperation>> {
        self.read(move |model, _| model.operation(principal, &route, &key))
    }

    fn payment_is_known(
        &self,
        order: OrderId,
        provider: PaymentProvider,
        reference: String,
    ) -> Asked<'_, bool> {
        self.read(move |model, _| model.payment_is_known(order, provider, &reference))
    }

    fn payment_name(&self, order: OrderId, payment: PaymentId) -> Asked<'_, Option<String>> {
        self.read(move |model, _| model.payment_name(order, payment))
    }

    fn order_settled(&self, lease: Lease, order: OrderId, version: i64) -> Asked<'_, bool> {
        Box::pin(async move {
            let settled = self.read(move |model, _| model.order_settled(&lease, order, version));
            Ok(settled.await??)
        })
    }
}
