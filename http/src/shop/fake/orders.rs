//! Orders.

use holdfast_actors::{
    Error,
    client::{EventRecord, Freshness, OrderFilter, Page, PageRequest, Read},
    command::{CallContext, Done, Mutation, Payable},
};
use holdfast_domain::{
    Caller, Event, EventId, EventKind, JsonObject, Order, OrderId, OrderLine, OrderStatus, Payment,
    ProductId, UserId,
    order::{Fulfilment, NewFulfilment, NewOrder, OrderPatch, PaymentReport},
    payment::PaymentStatus,
};

use super::{
    NOW, Shop, VERSION,
    catalogue::{price, product},
};

impl Shop {
    pub(crate) async fn order_place(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        new: NewOrder,
    ) -> Result<Done<Order>, Error> {
        self.done(mutation, order(new.id, caller.user_id))
    }

    pub(crate) async fn order(
        &self,
        _: &CallContext,
        caller: &Caller,
        id: OrderId,
        freshness: Freshness,
    ) -> Result<Read<Order>, Error> {
        self.read(freshness, order(id, caller.user_id))
    }

    pub(crate) async fn orders(
        &self,
        caller: &Caller,
        _: OrderFilter,
        page: &PageRequest<OrderId>,
    ) -> Result<Page<Order, OrderId>, Error> {
        let id = OrderId::mint(NOW, [4; 10]);
        self.page(page, order(id, caller.user_id), id)
    }

    pub(crate) async fn order_events(
        &self,
        caller: &Caller,
        id: OrderId,
        page: &PageRequest<i64>,
    ) -> Result<Page<EventRecord, i64>, Error> {
        let event = Event {
            id: EventId::mint(NOW, [5; 10]),
            kind: EventKind::OrderPlaced,
            subject: id.0,
            sequence: 1,
            at: NOW,
            actor_id: Some(caller.user_id.0),
            data: JsonObject::empty(),
            trace_id: None,
        };
        self.page(
            page,
            EventRecord {
                event,
                node: "n1".to_owned(),
                epoch: 1,
            },
            1,
        )
    }

    pub(crate) async fn order_edit(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        _: OrderPatch,
        expected_version: i64,
    ) -> Result<Done<Order>, Error> {
        self.done(
            mutation,
            Order {
                version: expected_version + 1,
                ..order(id, caller.user_id)
            },
        )
    }

    pub(crate) async fn order_pay(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        payable: Payable,
        _: Option<String>,
    ) -> Result<Done<Payment>, Error> {
        let total = order(id, caller.user_id).total;
        let payment = Payment {
            id: payable.id,
            order_id: id,
            provider: payable.provider,
            status: PaymentStatus::Captured,
            amount: total,
            captured: total.amount,
            refunded: 0,
            created_at: NOW,
        };
        self.done(mutation, payment)
    }

    pub(crate) async fn payment_report(
        &self,
        mutation: &Mutation,
        _: OrderId,
        _: PaymentReport,
    ) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn order_cancel(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        _: Option<String>,
    ) -> Result<Done<Order>, Error> {
        self.done(
            mutation,
            Order {
                status: OrderStatus::Cancelled,
                ..order(id, caller.user_id)
            },
        )
    }

    pub(crate) async fn order_fulfil(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: OrderId,
        new: NewFulfilment,
    ) -> Result<Done<Fulfilment>, Error> {
        let NewFulfilment {
            id: fulfilment_id,
            lines,
            carrier,
            tracking,
        } = new;
        self.done(
            mutation,
            Fulfilment {
                id: fulfilment_id,
                order_id: id,
                lines,
                carrier,
                tracking,
                created_at: NOW,
            },
        )
    }
}

fn order(id: OrderId, customer_id: UserId) -> Order {
    let product = product(ProductId::mint(NOW, [2; 10]));
    let line = OrderLine {
        product_id: product.id,
        sku: product.sku,
        name: product.name,
        seller_id: product.seller_id,
        quantity: 1,
        unit_price: price(),
        line_total: price(),
        fulfilled: 0,
        returned: 0,
    };
    Order {
        id,
        status: OrderStatus::PendingPayment,
        lines: vec![line],
        total: price(),
        customer_id,
        shipping_address: None,
        note: None,
        payment: None,
        expires_at: Some(NOW),
        created_at: NOW,
        updated_at: NOW,
        version: VERSION,
    }
}
