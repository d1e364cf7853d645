//! Orders: what they hold, and the state machine along which they move.
//!
//! ```text
//! pending_payment -> confirmed -> partially_fulfilled -> fulfilled -> partially_returned -> returned
//!        |   |         ^ |
//!        |   +---------|-+--> cancelled
//!        +--> expired -+ if it is paid late, and its units are there still
//! ```
//! Each move is a pure function in a file of its own that returns a [`Change`]: the order as it will
//! be, and one event for every version that it counts.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    EventKind, JsonObject, Money, OrderId, Payment, ProductId, Refusal, Sku, Timestamp, UserId,
    payment::PaymentStatus, stock::Progress,
};

mod cancel;
mod edit;
mod expire;
mod fulfil;
mod pay;
mod place;
mod report;
mod revive;
mod status;

pub use cancel::cancel;
pub use edit::{OrderPatch, edit};
pub use expire::expire;
pub use fulfil::{Fulfilment, NewFulfilment, fulfil};
pub use pay::{Paid, pay};
pub use place::{LINES_MAX, NewOrder, WantedLine, merge_lines, place, placed};
pub use report::{KnownNames, PaymentReport, Reported, report};
pub use revive::{refund_late, revive};
pub use status::{OrderStatus, UnknownOrderStatus};

/// One product of an order, as it was when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU then.
    pub sku: Sku,
    /// Its name then.
    pub name: String,
    /// Who sells it.
    pub seller_id: UserId,
    /// Units ordered.
    pub quantity: u32,
    /// The price of one unit then.
    pub unit_price: Money,
    /// `unit_price` times `quantity`.
    pub line_total: Money,
    /// Units shipped.
    pub fulfilled: u32,
    /// Units sent back.
    pub returned: u32,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's id; its shard is that of its lowest product id.
    pub id: OrderId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was ordered, by ascending product id; each product once.
    pub lines: Vec<OrderLine>,
    /// The sum of all line totals.
    pub total: Money,
    /// Who ordered.
    pub customer_id: UserId,
    /// Where it goes; the client's own object.
    pub shipping_address: Option<JsonObject>,
    /// The customer's words.
    pub note: Option<String>,
    /// The payment, once one was accepted.
    pub payment: Option<Payment>,
    /// Until when it must be paid; `None` once it is.
    pub expires_at: Option<Timestamp>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts its events, from 1.
    pub version: i64,
}

/// An event that a change makes; its sequence is its place after the version that stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// What happened.
    pub kind: EventKind,
    /// The rest, by kind.
    pub data: JsonObject,
}

/// What a legal move makes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The order after the move; its version counts the events.
    pub order: Order,
    /// What happened, in order; never empty.
    pub events: Vec<ChangeEvent>,
    /// Who moved it; `None`: the shop itself.
    pub actor_id: Option<Uuid>,
    /// Whether products have reservations to ship or release because of it.
    pub unsettled: bool,
    /// Whether it was paid too late, and asks for its units anew.
    pub renews: bool,
}

impl Order {
    /// Tells whether it was paid too late, and neither has its units again nor the payer the money.
    pub fn awaits_units(&self) -> bool {
        let is_paid = |payment: &Payment| payment.status == PaymentStatus::Captured;
        self.status == OrderStatus::Expired && self.payment.as_ref().is_some_and(is_paid)
    }

    /// Tells whether the money that was promised for it will not come, and nothing else has paid it.
    pub fn lacks_payment(&self) -> bool {
        let is_void = |payment: &Payment| payment.status == PaymentStatus::Voided;
        self.status != OrderStatus::Cancelled && self.payment.as_ref().is_some_and(is_void)
    }

    /// Returns what has become of a line's reservation, as far as the order is concerned.
    pub fn progress_of(&self, line: &OrderLine) -> Progress {
        let released = match self.status {
            OrderStatus::Cancelled | OrderStatus::Expired => line.quantity - line.fulfilled,
            _ => 0,
        };
        Progress {
            shipped: line.fulfilled,
            released,
        }
    }

    /// Returns the order as the seller of some of its lines sees it: those lines and their total.
    ///
    /// What was paid covers other sellers' lines as well, and is left out.
    pub fn only_lines_of(&self, seller: UserId) -> Self {
        let lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.seller_id == seller)
            .cloned()
            .collect();
        // A part of a sum of non-negative amounts that fits also fits.
        let amount = lines.iter().map(|line| line.line_total.amount).sum();
        Self {
            total: Money::new(amount, self.total.currency),
            lines,
            payment: None,
            ..self.clone()
        }
    }

    /// Finishes a move: stamps the time and counts one version an event.
    fn changed(mut self, at: Timestamp, actor_id: Option<UserId>, events: Vec<ChangeEvent>) -> Change {
        self.updated_at = at;
        self.version += i64::try_from(events.len()).unwrap_or(i64::MAX);
        Change {
            order: self,
            events,
            actor_id: actor_id.map(|id| id.0),
            unsettled: false,
            renews: false,
        }
    }

    fn illegal(&self, requested: OrderStatus) -> Refusal {
        Refusal::InvalidTransition {
            from: self.status,
            requested,
        }
    }

    fn has_shipped(&self) -> bool {
        self.lines.iter().any(|line| line.fulfilled > 0)
    }
}

/// Tells of a payment, and by what name its provider knows it, if that is known.
fn tells(kind: EventKind, payment: &Payment, reference: Option<&str>) -> ChangeEvent {
    event(
        kind,
        match reference {
            Some(reference) => json!({ "payment": payment, "reference": reference }),
            None => json!({ "payment": payment }),
        },
    )
}

fn event(kind: EventKind, data: impl Serialize) -> ChangeEvent {
    let data = JsonObject::of(&data).expect("what an event tells is an object");
    ChangeEvent { kind, data }
}

#[cfg(test)]
mod tests;
