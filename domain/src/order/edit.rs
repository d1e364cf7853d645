//! Editing what a customer said about an order.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Change, Order, OrderStatus, event};
use crate::{
    Caller, EventKind, JsonObject, Refusal, Timestamp,
    access::order_view,
    text::{self, NOTE_MAX_CHARS},
};

/// An edit: only what is `Some` changes, and `Some(None)` removes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPatch {
    /// A new address, in place of the whole old one.
    pub shipping_address: Option<Option<JsonObject>>,
    /// A new note.
    pub note: Option<Option<String>>,
}

/// Edits an order before its first shipment.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`]: only its customer may.
/// [`Refusal::VersionMismatch`]: the order changed meanwhile.
/// [`Refusal::InvalidTransition`]: units have been shipped, or it has ended.
pub fn edit(
    order: &Order,
    patch: OrderPatch,
    expected_version: i64,
    by: &Caller,
    at: Timestamp,
) -> Result<Change, Refusal> {
    order_view(by, order).ok_or(Refusal::NotFound)?;
    if by.user_id != order.customer_id {
        return Err(Refusal::Forbidden);
    }
    if order.version != expected_version {
        return Err(Refusal::VersionMismatch {
            current_version: order.version,
        });
    }
    if !matches!(order.status, OrderStatus::PendingPayment | OrderStatus::Confirmed) || order.has_shipped() {
        return Err(order.illegal(order.status));
    }
    let mut errors = Vec::new();
    if let Some(Some(note)) = &patch.note {
        errors.extend(text::check("/note", note, 0, NOTE_MAX_CHARS).err());
    }
    if let Some(Some(address)) = &patch.shipping_address {
        errors.extend(text::check_object("/shipping_address", address).err());
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let mut next = order.clone();
    next.shipping_address = patch.shipping_address.unwrap_or(next.shipping_address);
    next.note = patch.note.unwrap_or(next.note);
    let data = json!({ "shipping_address": next.shipping_address, "note": next.note });
    Ok(next.changed(at, Some(by.user_id), vec![event(EventKind::OrderUpdated, data)]))
}
