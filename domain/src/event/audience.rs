//! Who hears of an event, and how much of it.

use std::borrow::Cow;

use uuid::Uuid;

use super::{Event, EventKind};
use crate::{Caller, JsonObject, Order, ProductId, Role, UserId};

/// Who an event concerns besides those who run the shop, as the thing that it happened to tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever it happened to: an account.
    Account(UserId),
    /// The seller of a product.
    Seller(UserId),
    /// An order's customer, and the sellers of its lines.
    Order {
        /// Who ordered.
        customer_id: UserId,
        /// What was ordered, and from whom.
        lines: Vec<(ProductId, UserId)>,
    },
    /// Nobody: what it happened to is gone.
    Nobody,
}

impl Audience {
    /// Shows an event as `caller` may see it; `None`: not at all.
    ///
    /// The rules are those of reading what it happened to. The seller of some of an order's lines
    /// hears of these lines only.
    pub fn show<'a>(&self, event: &'a Event, caller: &Caller) -> Option<Cow<'a, Event>> {
        if caller.is_admin() {
            return Some(Cow::Borrowed(event));
        }
        let is_seller = caller.role == Role::Seller;
        match self {
            Self::Account(user_id) => (*user_id == caller.user_id).then_some(Cow::Borrowed(event)),
            Self::Seller(seller_id) => {
                (is_seller && *seller_id == caller.user_id).then_some(Cow::Borrowed(event))
            }
            Self::Order { customer_id, .. } if *customer_id == caller.user_id => Some(Cow::Borrowed(event)),
            Self::Order { lines, .. } => {
                let own = |product: &str| {
                    lines
                        .iter()
                        .any(|(id, seller)| *seller == caller.user_id && id.to_string() == product)
                };
                let sells = is_seller && lines.iter().any(|(_, seller)| *seller == caller.user_id);
                sells.then(|| Cow::Owned(event.for_seller(caller.user_id, own)))
            }
            Self::Nobody => None,
        }
    }
}

impl Event {
    /// Cuts an order's event to what concerns the seller of some of its lines; `sells` knows their
    /// products by the text of their ids.
    #[must_use]
    pub fn for_seller(&self, seller: UserId, sells: impl Fn(&str) -> bool) -> Self {
        let mut data = self.data.to_map();
        match self.kind {
            EventKind::OrderPlaced => {
                let order = data
                    .remove("order")
                    .and_then(|order| serde_json::from_value::<Order>(order).ok());
                let own = order.and_then(|order| serde_json::to_value(order.only_lines_of(seller)).ok());
                data.extend(own.map(|own| ("order".to_owned(), own)));
            }
            EventKind::OrderFulfilled => {
                let lines = data
                    .get_mut("fulfilment")
                    .and_then(|fulfilment| fulfilment.get_mut("lines"));
                if let Some(lines) = lines.and_then(|lines| lines.as_array_mut()) {
                    lines.retain(|line| line["product_id"].as_str().is_some_and(&sells));
                }
            }
            // Whether and why the customer's card was declined is nobody else's business.
            EventKind::PaymentDeclined => data.clear(),
            // What was paid covers other sellers' lines as well.
            _ => data.retain(|name, _| name != "payment" && name != "reference"),
        }
        Self {
            data: JsonObject::from(data),
            ..self.clone()
        }
    }
}

impl From<(Uuid, Vec<Uuid>, Vec<Uuid>)> for Audience {
    /// Joins an order's customer with the products and the sellers of its lines.
    fn from((customer, products, sellers): (Uuid, Vec<Uuid>, Vec<Uuid>)) -> Self {
        let lines = products
            .into_iter()
            .map(ProductId)
            .zip(sellers.into_iter().map(UserId));
        Self::Order {
            customer_id: UserId(customer),
            lines: lines.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventId, SessionId, Timestamp};

    const NOW: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

    fn caller(id: u128, role: Role) -> Caller {
        Caller {
            user_id: UserId(Uuid::from_u128(id)),
            session_id: SessionId(Uuid::from_u128(id)),
            role,
        }
    }

    fn event(kind: EventKind, data: &str) -> Event {
        Event {
            id: EventId::mint(NOW, [1; 10]),
            kind,
            subject: Uuid::from_u128(1),
            sequence: 1,
            at: NOW,
            actor_id: None,
            data: JsonObject::parse(data).expect("an object"),
            trace_id: None,
        }
    }

    fn product(n: u128) -> ProductId {
        ProductId(Uuid::from_u128(n))
    }

    #[test]
    fn an_order_is_heard_of_by_its_customer_its_sellers_and_who_runs_the_shop() {
        let audience = Audience::Order {
            customer_id: UserId(Uuid::from_u128(1)),
            lines: vec![(product(50), UserId(Uuid::from_u128(2)))],
        };
        let placed = event(EventKind::OrderExpired, "{}");
        let sees = |id, role| audience.show(&placed, &caller(id, role)).is_some();
        assert!(sees(1, Role::Customer) && sees(1, Role::Seller));
        assert!(sees(2, Role::Seller));
        assert!(!sees(2, Role::Customer), "who may no longer sell hears no more");
        assert!(!sees(3, Role::Seller) && !sees(3, Role::Customer));
        assert!(sees(3, Role::Admin));
    }

    #[test]
    fn a_seller_hears_of_own_lines_and_of_no_payment() {
        let audience = Audience::Order {
            customer_id: UserId(Uuid::from_u128(1)),
            lines: vec![
                (product(50), UserId(Uuid::from_u128(2))),
                (product(51), UserId(Uuid::from_u128(3))),
            ],
        };
        let seller = caller(2, Role::Seller);
        let line = |n| format!(r#"{{"product_id":"{}","quantity":1}}"#, product(n));
        let data = format!(r#"{{"fulfilment":{{"lines":[{},{}]}}}}"#, line(50), line(51));
        let fulfilled = event(EventKind::OrderFulfilled, &data);
        let seen = audience.show(&fulfilled, &seller).expect("it is seen");
        let lines = &seen.data.to_map()["fulfilment"]["lines"];
        assert_eq!(lines.as_array().map(Vec::len), Some(1));
        assert_eq!(lines[0]["product_id"], product(50).to_string());
        let paid = event(
            EventKind::PaymentCaptured,
            r#"{"payment":{"captured":5},"reference":"pay_5"}"#,
        );
        let seen = audience.show(&paid, &seller).expect("it is seen");
        assert_eq!(seen.data, JsonObject::empty());
        let customer = audience
            .show(&paid, &caller(1, Role::Customer))
            .expect("it is seen");
        assert_eq!(*customer, paid);
    }

    #[test]
    fn accounts_and_products_are_for_their_owners() {
        let own = caller(7, Role::Seller);
        let other = caller(8, Role::Seller);
        let who = UserId(Uuid::from_u128(7));
        let registered = event(EventKind::UserRegistered, "{}");
        let created = event(EventKind::ProductCreated, "{}");
        assert!(Audience::Account(who).show(&registered, &own).is_some());
        assert!(Audience::Account(who).show(&registered, &other).is_none());
        assert!(Audience::Seller(who).show(&created, &own).is_some());
        assert!(Audience::Seller(who).show(&created, &other).is_none());
        assert!(Audience::Nobody.show(&created, &own).is_none());
    }
}
