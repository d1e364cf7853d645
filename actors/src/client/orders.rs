//! Orders.

use holdfast_domain::{
    Caller, Order, OrderId, Payment, Refusal,
    access::{OrderView, order_view},
    order::{Fulfilment, NewFulfilment, NewOrder, OrderPatch, PaymentReport},
};
use holdfast_store::{EventRecord, OrderFilter, OrderScope, OrderState, Page, PageRequest};

use super::{Client, Freshness, Read};
use crate::{
    Error,
    command::{By, CallContext, Done, Mutation, OrderCommand, Payable, Request},
};

impl Client {
    /// Places an order: all of its lines are reserved, or none is.
    ///
    /// # Errors
    /// [`Refusal::InsufficientStock`], [`Refusal::PriceChanged`], [`Refusal::Invalid`],
    /// [`Refusal::IdempotencyKeyReuse`].
    pub async fn order_place(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        new: NewOrder,
    ) -> Result<Done<Order>, Error> {
        self.order_change(mutation, caller, |by| OrderCommand::Place(by, new))
            .await
    }

    /// Reads an order as the caller may see it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn order(
        &self,
        context: &CallContext,
        caller: &Caller,
        id: OrderId,
        freshness: Freshness,
    ) -> Result<Read<Order>, Error> {
        let order = self
            .await_version(freshness.min_version, context.budget, async || {
                let order = self.visible_order(caller, id).await?;
                Ok((order.version, order))
            })
            .await?;
        Ok(Read::fresh(order))
    }

    async fn visible_order(&self, caller: &Caller, id: OrderId) -> Result<Order, Error> {
        let record = self
            .shared
            .store
            .order_record(id)
            .await?
            .ok_or(Refusal::NotFound)?;
        if record.state != OrderState::Placed {
            return Err(Refusal::NotFound.into());
        }
        match order_view(caller, &record.order).ok_or(Refusal::NotFound)? {
            OrderView::Whole => Ok(record.order),
            OrderView::SellerLines(seller) => Ok(record.order.only_lines_of(seller)),
        }
    }

    /// Lists orders, newest first.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`]: the filter is not for the caller's role.
    pub async fn orders(
        &self,
        caller: &Caller,
        filter: OrderFilter,
        page: &PageRequest<OrderId>,
    ) -> Result<Page<Order, OrderId>, Error> {
        let is_own =
            matches!(filter.scope, OrderScope::Customer(id) | OrderScope::Seller(id) if id == caller.user_id);
        if !is_own {
            caller.require_admin()?;
        }
        let mut found = self.shared.store.orders_list(filter, page).await?;
        for order in &mut found.items {
            if let Some(OrderView::SellerLines(seller)) = order_view(caller, order) {
                *order = order.only_lines_of(seller);
            }
        }
        Ok(found)
    }

    /// Returns an order's timeline, oldest first.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn order_events(
        &self,
        caller: &Caller,
        id: OrderId,
        page: &PageRequest<i64>,
    ) -> Result<Page<EventRecord, i64>, Error> {
        let order = self.visible_order(caller, id).await?;
        let mut found = self.shared.store.order_events(id, page).await?;
        if let Some(OrderView::SellerLines(seller)) = order_view(caller, &order) {
            let sells = |product: &str| {
                order
                    .lines
                    .iter()
                    .any(|line| line.product_id.to_string() == product)
            };
            for record in &mut found.items {
                record.event = record.event.for_seller(seller, sells);
            }
        }
        Ok(found)
    }

    /// Edits an order's address or note.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::VersionMismatch`], [`Refusal::InvalidTransition`].
    pub async fn order_edit(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        patch: OrderPatch,
        expected_version: i64,
    ) -> Result<Done<Order>, Error> {
        self.order_change(mutation, caller, |by| {
            OrderCommand::Edit(by, id, patch, expected_version)
        })
        .await
    }

    /// Pays an order; `reference` is the name by which its provider knows the payment, if it does.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::PaymentDeclined`], [`Refusal::InvalidTransition`],
    /// [`Refusal::Invalid`].
    pub async fn order_pay(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        payable: Payable,
        reference: Option<String>,
    ) -> Result<Done<Payment>, Error> {
        self.order_change(mutation, caller, |by| match reference {
            // An older owner knows nothing of names: it is asked in the words of before.
            None => OrderCommand::Pay(by, id, payable),
            Some(reference) => OrderCommand::PayNamed(by, id, payable, reference),
        })
        .await
    }

    /// Takes note of what a payment's provider reports, once for each report and each payment.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::IdempotencyKeyReuse`].
    pub async fn payment_report(
        &self,
        mutation: &Mutation,
        id: OrderId,
        report: PaymentReport,
    ) -> Result<Done<()>, Error> {
        let command = OrderCommand::Report(mutation.operation.clone(), id, report);
        self.change(Request::Order(command), mutation).await
    }

    /// Calls an order off; its units return to stock.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Refusal::InvalidTransition`].
    pub async fn order_cancel(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        reason: Option<String>,
    ) -> Result<Done<Order>, Error> {
        self.order_change(mutation, caller, |by| OrderCommand::Cancel(by, id, reason))
            .await
    }

    /// Ships units of an order.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Refusal::Invalid`], [`Refusal::InvalidTransition`].
    pub async fn order_fulfil(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        new: NewFulfilment,
    ) -> Result<Done<Fulfilment>, Error> {
        self.order_change(mutation, caller, |by| OrderCommand::Fulfil(by, id, new))
            .await
    }

    async fn order_change<T: crate::command::FromReply>(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        command: impl FnOnce(By) -> OrderCommand,
    ) -> Result<Done<T>, Error> {
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(Request::Order(command(by)), mutation).await
    }
}
