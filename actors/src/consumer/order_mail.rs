//! Mails to customers about their orders.

use holdfast_domain::{Event, EventKind, Order, OrderLine, User, order::Fulfilment};
use serde::Deserialize;

use super::wording::{Draft, greeting, line, minute, one_line};

/// Writes the mail that tells an order's customer of an event.
///
/// `order` is the order as it stands: what the mail says of lines and total never changes. What may
/// have changed since is taken from the event.
///
/// # Errors
/// Says why the event tells nothing that can be written.
pub(super) fn draft(event: &Event, order: &Order, customer: &User) -> Result<Draft, String> {
    let mut body = greeting(customer);
    let happened = match event.kind {
        EventKind::OrderPlaced => placed(event, order, &mut body)?,
        EventKind::OrderConfirmed => confirmed(order, &mut body),
        EventKind::OrderCancelled => cancelled(event, order, &mut body),
        EventKind::OrderExpired => expired(order, &mut body),
        EventKind::OrderFulfilled => fulfilled(event, order, &mut body)?,
        other => return Err(format!("nobody is written to about {other}")),
    };
    Ok(Draft {
        subject: format!("Your order {} {happened}", order.id),
        body,
    })
}

#[derive(Deserialize)]
struct Placed {
    order: Order,
}

fn placed(event: &Event, order: &Order, body: &mut String) -> Result<&'static str, String> {
    let Placed { order: placed } = parse(event)?;
    line(body, "thank you for your order.\n");
    goods(order, body);
    if let Some(expires_at) = placed.expires_at {
        line(
            body,
            format_args!(
                "\nIt is held for you until {}. Please pay it by then.",
                minute(expires_at)
            ),
        );
    }
    Ok("was placed")
}

fn confirmed(order: &Order, body: &mut String) -> &'static str {
    line(body, "your order is confirmed and will be shipped to you.\n");
    goods(order, body);
    "is confirmed"
}

#[derive(Default, Deserialize)]
struct Cancelled {
    reason: Option<String>,
}

fn cancelled(event: &Event, order: &Order, body: &mut String) -> &'static str {
    let Cancelled { reason } = parse(event).unwrap_or_default();
    line(body, "your order was cancelled.\n");
    goods(order, body);
    if let Some(reason) = reason
        .map(|reason| one_line(&reason))
        .filter(|reason| !reason.is_empty())
    {
        line(body, format_args!("\nThe reason given: {reason}"));
    }
    // A cancelled order is refunded in the same change, whole or not at all.
    if let Some(payment) = order.payment.as_ref().filter(|payment| payment.refunded > 0) {
        let refunded = holdfast_domain::Money::new(payment.refunded, payment.amount.currency);
        line(body, format_args!("\nYou get {refunded} back."));
    }
    "was cancelled"
}

fn expired(order: &Order, body: &mut String) -> &'static str {
    line(
        body,
        "your order was not paid in time, and what was held for you is for sale again.\n",
    );
    goods(order, body);
    "has expired"
}

#[derive(Deserialize)]
struct Fulfilled {
    fulfilment: Fulfilment,
}

fn fulfilled(event: &Event, order: &Order, body: &mut String) -> Result<&'static str, String> {
    let Fulfilled { fulfilment } = parse(event)?;
    line(body, "this is on its way to you:\n");
    for shipped in &fulfilment.lines {
        let ordered = order
            .lines
            .iter()
            .find(|line| line.product_id == shipped.product_id)
            .ok_or_else(|| format!("the order has no product {}", shipped.product_id))?;
        line(
            body,
            format_args!("  {} x {}", shipped.quantity.get(), name(ordered)),
        );
    }
    let details = [
        ("Carrier", &fulfilment.carrier),
        ("Tracking", &fulfilment.tracking),
    ];
    for (what, value) in details {
        if let Some(value) = value.as_deref().map(one_line).filter(|value| !value.is_empty()) {
            line(body, format_args!("\n{what}: {value}"));
        }
    }
    line(body, format_args!("\nIt belongs to order {}.", order.id));
    Ok("is on its way")
}

/// Lists what an order consists of.
fn goods(order: &Order, body: &mut String) {
    line(body, format_args!("Order {}", order.id));
    line(body, format_args!("placed {}\n", minute(order.created_at)));
    for ordered in &order.lines {
        line(
            body,
            format_args!(
                "  {} x {}, {} each: {}",
                ordered.quantity,
                name(ordered),
                ordered.unit_price,
                ordered.line_total
            ),
        );
    }
    line(body, format_args!("\nTotal: {}", order.total));
}

fn name(ordered: &OrderLine) -> String {
    format!("{} ({})", one_line(&ordered.name), one_line(ordered.sku.as_str()))
}

fn parse<'a, T: Deserialize<'a>>(event: &'a Event) -> Result<T, String> {
    serde_json::from_str(event.data.as_str())
        .map_err(|error| format!("what {} says cannot be read: {error}", event.kind))
}
