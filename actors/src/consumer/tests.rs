use std::time::Duration;

use holdfast_domain::{
    Email, Event, EventId, EventKind, JsonObject, Money, Order, OrderId, OrderLine, OrderStatus, Product,
    ProductId, ProductStatus, Role, Sku, Timestamp, User, UserId, event::Aggregate, order,
};
use holdfast_store::{Consequence, EventRecord, Service};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Consumer, acceptance,
    decision::{Failure, Next, next},
    order_mail, stock_alerts,
};
use crate::mail::{MailOptions, MailTransport};

const AT: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

fn user(name: &str) -> User {
    User {
        id: UserId(Uuid::from_u128(1)),
        email: Email::parse("ada@example.com").unwrap(),
        display_name: name.to_owned(),
        role: Role::Customer,
        email_verified: false,
        disabled: false,
        created_at: AT,
        version: 1,
    }
}

fn money(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

fn line(product: u128, name: &str, quantity: u32, price: i64) -> OrderLine {
    OrderLine {
        product_id: ProductId(Uuid::from_u128(product)),
        sku: Sku::parse(&format!("SKU-{product}")).unwrap(),
        name: name.to_owned(),
        seller_id: UserId(Uuid::from_u128(2)),
        quantity,
        unit_price: money(price),
        line_total: money(price * i64::from(quantity)),
        fulfilled: 0,
        returned: 0,
    }
}

fn order() -> Order {
    Order {
        id: OrderId(Uuid::from_u128(7)),
        status: OrderStatus::PendingPayment,
        lines: vec![
            line(1, "Blue mug", 2, 1_999),
            line(2, "Cup\r\nTotal: 0.00 EUR", 1, 5),
        ],
        total: money(4_003),
        customer_id: UserId(Uuid::from_u128(1)),
        shipping_address: None,
        note: None,
        payment: None,
        expires_at: None,
        created_at: AT,
        updated_at: AT,
        version: 1,
    }
}

fn event(kind: EventKind, data: Value) -> Event {
    let Value::Object(data) = data else {
        panic!("no object")
    };
    Event {
        id: EventId(Uuid::from_u128(3)),
        kind,
        subject: Uuid::from_u128(7),
        sequence: 1,
        at: AT,
        actor_id: None,
        data: JsonObject::from(data),
        trace_id: None,
    }
}

fn record(kind: EventKind, data: Value) -> EventRecord {
    EventRecord {
        event: event(kind, data),
        node: "n1".to_owned(),
        epoch: 1,
    }
}

fn options() -> MailOptions {
    MailOptions {
        sender: "shop@example.com".to_owned(),
        transport: MailTransport::Spool {
            directory: "/nowhere".into(),
            max_files: 1,
        },
        attempts: 5,
        retry_first: Duration::from_secs(2),
        retry_max: Duration::from_secs(10),
    }
}

#[test]
fn an_order_is_confirmed_to_have_arrived_with_its_lines_and_its_total() {
    let change = order::placed(order(), AT, Duration::from_mins(15));
    let placed = &change.events[0];
    let data = Value::Object(placed.data.to_map());
    let draft = order_mail::draft(&event(placed.kind, data), &order(), &user("Ada")).unwrap();
    assert_eq!(
        draft.subject,
        "Your order 00000000-0000-0000-0000-000000000007 was placed"
    );
    assert_eq!(
        draft.body,
        "Hello Ada,\n\n\
         thank you for your order.\n\n\
         Order 00000000-0000-0000-0000-000000000007\n\
         placed 2027-01-15 08:00 UTC\n\n\
         \x20 2 x Blue mug (SKU-1), 19.99 EUR each: 39.98 EUR\n\
         \x20 1 x Cup  Total: 0.00 EUR (SKU-2), 0.05 EUR each: 0.05 EUR\n\n\
         Total: 40.03 EUR\n\n\
         It is held for you until 2027-01-15 08:15 UTC. Please pay it by then.\n"
    );
}

#[test]
fn a_shipment_lists_what_is_in_it_and_who_carries_it() {
    let data = json!({ "fulfilment": {
        "id": Uuid::from_u128(8), "order_id": Uuid::from_u128(7),
        "lines": [{ "product_id": Uuid::from_u128(1), "quantity": 1 }],
        "carrier": "The Post", "tracking": "X\n1", "created_at": AT,
    }});
    let draft = order_mail::draft(&event(EventKind::OrderFulfilled, data), &order(), &user("")).unwrap();
    assert!(draft.subject.ends_with("is on its way"), "{}", draft.subject);
    assert_eq!(
        draft.body,
        "Hello,\n\nthis is on its way to you:\n\n  1 x Blue mug (SKU-1)\n\nCarrier: The Post\n\n\
         Tracking: X 1\n\nIt belongs to order 00000000-0000-0000-0000-000000000007.\n"
    );
}

#[test]
fn a_cancelled_order_tells_why_and_what_is_paid_back() {
    let mut order = order();
    order.payment = Some(
        serde_json::from_value(json!({
            "id": Uuid::from_u128(9), "order_id": Uuid::from_u128(7), "provider": "test",
            "status": "refunded", "amount": order.total, "captured": 4_003, "refunded": 4_003,
            "created_at": AT,
        }))
        .unwrap(),
    );
    let cancelled = event(EventKind::OrderCancelled, json!({ "reason": "changed my mind" }));
    let draft = order_mail::draft(&cancelled, &order, &user("Ada")).unwrap();
    assert!(
        draft.body.contains("The reason given: changed my mind\n"),
        "{}",
        draft.body
    );
    assert!(
        draft.body.ends_with("You get 40.03 EUR back.\n"),
        "{}",
        draft.body
    );
}

#[test]
fn every_event_that_a_customer_is_written_to_about_has_its_words() {
    for kind in EventKind::ALL
        .iter()
        .copied()
        .filter(|kind| Consumer::OrderMail.wants(*kind))
    {
        let data = match kind {
            EventKind::OrderPlaced => json!({ "order": order() }),
            EventKind::OrderFulfilled => continue,
            _ => json!({}),
        };
        let draft = order_mail::draft(&event(kind, data), &order(), &user("Ada")).unwrap();
        assert!(draft.body.contains("Total: 40.03 EUR"), "{kind}: {}", draft.body);
    }
}

#[test]
fn an_alert_names_the_product_and_its_counters() {
    let low = event(
        EventKind::StockLow,
        json!({ "on_hand": 5, "reserved": 3, "available": 2 }),
    );
    let alert = stock_alerts::alert(&low).unwrap();
    let product = Product {
        id: ProductId(Uuid::from_u128(7)),
        sku: Sku::parse("MUG-1").unwrap(),
        name: "Blue\nmug".to_owned(),
        description: String::new(),
        price: money(1_999),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id: UserId(Uuid::from_u128(1)),
        low_stock_threshold: Some(2),
        created_at: AT,
        updated_at: AT,
        version: 1,
    };
    let draft = stock_alerts::draft(&alert, &product, &user("Ada"));
    assert_eq!(draft.subject, "Low stock: Blue mug (MUG-1)");
    assert!(
        draft
            .body
            .contains("Available: 2\nOn hand:   5, of which 3 are reserved\nLow at:    2\n")
    );
}

#[test]
fn an_alert_without_counters_is_a_dead_letter_at_once() {
    let broken = record(EventKind::StockDepleted, json!({ "on_hand": -1, "available": 0 }));
    let accepted = acceptance(Consumer::StockAlerts, &broken, true).unwrap();
    assert!(matches!(accepted.consequence, Consequence::Refused(_)));
    assert_eq!(accepted.alert, None);
}

#[test]
fn without_mail_alerts_are_kept_and_nothing_is_owed() {
    let low = record(EventKind::StockLow, json!({ "on_hand": 5, "available": 2 }));
    let accepted = acceptance(Consumer::StockAlerts, &low, false).unwrap();
    assert_eq!(accepted.consequence, Consequence::Nothing);
    assert!(accepted.alert.is_some());
    let placed = record(EventKind::OrderPlaced, json!({}));
    assert_eq!(acceptance(Consumer::OrderMail, &placed, false), None);
}

#[test]
fn consumers_pass_over_what_is_not_theirs() {
    for kind in [
        EventKind::UserRegistered,
        EventKind::OrderUpdated,
        EventKind::StockAdjusted,
    ] {
        let other = record(kind, json!({}));
        for consumer in Consumer::ALL {
            assert_eq!(acceptance(consumer, &other, true), None, "{kind}");
        }
    }
}

#[test]
fn attempts_are_spread_out_and_come_to_an_end() {
    let failed = || Err(Failure::ForNow("421 later".to_owned()));
    let pause = |number, jitter| match next(failed(), number, &options(), jitter) {
        Next::Again(_, pause) => pause,
        other => panic!("{other:?}"),
    };
    assert_eq!(pause(1, 0.5), Duration::from_secs(2));
    assert_eq!(pause(2, 0.5), Duration::from_secs(4));
    assert_eq!(
        (pause(4, 0.0), pause(4, 0.5)),
        (Duration::from_secs(5), Duration::from_secs(10))
    );
    assert_eq!(
        next(failed(), 5, &options(), 0.5),
        Next::Dead("421 later".to_owned())
    );
    assert_eq!(
        next(failed(), u32::MAX, &options(), 0.5),
        Next::Dead("421 later".to_owned())
    );
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let refused = Err(Failure::ForGood("550 nobody here".to_owned()));
    assert_eq!(
        next(refused, 1, &options(), 0.5),
        Next::Dead("550 nobody here".to_owned())
    );
    assert_eq!(next(Ok(()), 1, &options(), 0.5), Next::Done);
}

#[test]
fn consumers_act_on_events_of_their_own_service_alone() {
    for consumer in Consumer::ALL {
        let kinds = EventKind::ALL.iter().filter(|kind| consumer.wants(**kind));
        for kind in kinds {
            let service = match kind.aggregate() {
                Aggregate::User => Service::Sessions,
                Aggregate::Product | Aggregate::Stock => Service::Products,
                Aggregate::Order => Service::Orders,
            };
            assert_eq!(service, consumer.service(), "{kind}");
        }
    }
}

#[test]
fn where_no_mail_is_sent_nobody_acts_on_orders() {
    let acting = |is_mailing| Consumer::ALL.map(|consumer| (consumer.service(), consumer.acts(is_mailing)));
    assert_eq!(acting(true), [(Service::Orders, true), (Service::Products, true)]);
    assert_eq!(
        acting(false),
        [(Service::Orders, false), (Service::Products, true)]
    );
}
