//! Alerts about stock, and mails to sellers about them.

use holdfast_domain::{Event, EventKind, Product, ProductId, User};
use holdfast_store::StockAlert;
use serde::Deserialize;

use super::wording::{Draft, greeting, line, minute, one_line};

#[derive(Deserialize)]
struct Counters {
    on_hand: u32,
    available: u32,
}

/// Reads the alert that an event is.
///
/// # Errors
/// Says why it is none.
pub(super) fn alert(event: &Event) -> Result<StockAlert, String> {
    if !matches!(event.kind, EventKind::StockLow | EventKind::StockDepleted) {
        return Err(format!("{} is no alert", event.kind));
    }
    let counters: Counters = serde_json::from_str(event.data.as_str())
        .map_err(|error| format!("what {} says cannot be read: {error}", event.kind))?;
    if counters.available > counters.on_hand {
        return Err("more units are available than there are".to_owned());
    }
    Ok(StockAlert {
        event_id: event.id,
        product_id: ProductId(event.subject),
        kind: event.kind,
        on_hand: counters.on_hand,
        available: counters.available,
        at: event.at,
    })
}

/// Writes the mail that tells a product's seller of an alert.
pub(super) fn draft(alert: &StockAlert, product: &Product, seller: &User) -> Draft {
    let name = format!("{} ({})", one_line(&product.name), one_line(product.sku.as_str()));
    let is_depleted = alert.kind == EventKind::StockDepleted;
    let mut body = greeting(seller);
    if is_depleted {
        line(&mut body, format_args!("{name} is sold out.\n"));
    } else {
        line(&mut body, format_args!("{name} is running out.\n"));
    }
    line(&mut body, format_args!("Available: {}", alert.available));
    let reserved = alert.on_hand - alert.available;
    line(
        &mut body,
        format_args!("On hand:   {}, of which {reserved} are reserved", alert.on_hand),
    );
    if let Some(threshold) = product.low_stock_threshold {
        line(&mut body, format_args!("Low at:    {threshold}"));
    }
    line(&mut body, format_args!("Product:   {}", product.id));
    line(&mut body, format_args!("Since:     {}", minute(alert.at)));
    Draft {
        subject: format!("{}: {name}", if is_depleted { "Sold out" } else { "Low stock" }),
        body,
    }
}
