//! Shipping units of an order.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Change, Order, OrderStatus, WantedLine, event};
use crate::{
    Caller, EventKind, FieldError, FulfilmentId, OrderId, Refusal, Role, Timestamp,
    access::{OrderView, order_view},
    text,
};

/// A shipment as its seller states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFulfilment {
    /// The shipment's id.
    pub id: FulfilmentId,
    /// What is in it, each product once.
    pub lines: Vec<WantedLine>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's number for it.
    pub tracking: Option<String>,
}

/// A shipment that has been recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    /// The shipment's id.
    pub id: FulfilmentId,
    /// The order that it is part of.
    pub order_id: OrderId,
    /// What is in it.
    pub lines: Vec<WantedLine>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's number for it.
    pub tracking: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// Ships units of a confirmed order.
///
/// # Errors
/// [`Refusal::NotFound`]: the order is not the caller's to see.
/// [`Refusal::Forbidden`]: the caller is its customer and sells none of it.
/// [`Refusal::Invalid`]: a product is not one of the caller's lines, or fewer units are left.
/// [`Refusal::InvalidTransition`]: the order is not paid, or has ended.
pub fn fulfil(
    order: &Order,
    new: NewFulfilment,
    by: &Caller,
    at: Timestamp,
) -> Result<(Change, Fulfilment), Refusal> {
    let view = order_view(by, order).ok_or(Refusal::NotFound)?;
    let sells = |seller| by.role == Role::Seller && seller == by.user_id;
    if view == OrderView::Whole && !by.is_admin() && !order.lines.iter().any(|line| sells(line.seller_id)) {
        return Err(Refusal::Forbidden);
    }
    if !matches!(
        order.status,
        OrderStatus::Confirmed | OrderStatus::PartiallyFulfilled
    ) || order.lacks_payment()
    {
        return Err(order.illegal(OrderStatus::Fulfilled));
    }
    let mut next = order.clone();
    let mut errors = Vec::new();
    for (field, value) in [("/carrier", &new.carrier), ("/tracking", &new.tracking)] {
        errors.extend(
            value
                .as_ref()
                .and_then(|value| text::check(field, value, 0, 200).err()),
        );
    }
    if new.lines.is_empty() {
        errors.push(FieldError::new("/lines", "must not be empty"));
    }
    for (index, shipped) in new.lines.iter().enumerate() {
        let line = next
            .lines
            .iter_mut()
            .find(|line| line.product_id == shipped.product_id && (by.is_admin() || sells(line.seller_id)));
        match line {
            None => errors.push(FieldError::new(
                format!("/lines/{index}/product_id"),
                "is not a line of yours",
            )),
            Some(line) if line.quantity - line.fulfilled < shipped.quantity.get() => {
                let left = line.quantity - line.fulfilled;
                errors.push(FieldError::new(
                    format!("/lines/{index}/quantity"),
                    format!("{left} units are left to ship"),
                ));
            }
            Some(line) => line.fulfilled += shipped.quantity.get(),
        }
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let all_shipped = next.lines.iter().all(|line| line.fulfilled == line.quantity);
    next.status = if all_shipped {
        OrderStatus::Fulfilled
    } else {
        OrderStatus::PartiallyFulfilled
    };
    let fulfilment = Fulfilment {
        id: new.id,
        order_id: order.id,
        lines: new.lines,
        carrier: new.carrier,
        tracking: new.tracking,
        created_at: at,
    };
    let events = vec![event(
        EventKind::OrderFulfilled,
        json!({ "fulfilment": fulfilment }),
    )];
    let change = next.changed(at, Some(by.user_id), events);
    Ok((
        Change {
            unsettled: true,
            ..change
        },
        fulfilment,
    ))
}
