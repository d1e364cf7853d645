//! The state machine under every order of operations.

mod report;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    Caller, FulfilmentId, PaymentId, PaymentProvider, Product, ProductStatus, Quantity, Role, SessionId,
};

const AT: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);
const DEADLINE: Duration = Duration::from_mins(15);

fn caller(n: u8, role: Role) -> Caller {
    Caller {
        user_id: UserId::mint(AT, [n; 10]),
        session_id: SessionId::mint(AT, [n; 10]),
        role,
    }
}

fn buyer() -> Caller {
    caller(1, Role::Customer)
}

fn seller(n: u8) -> Caller {
    caller(n, Role::Seller)
}

fn product(n: u8, seller: &Caller, price: i64, currency: &str) -> Product {
    Product {
        id: ProductId::mint(AT, [n; 10]),
        sku: Sku::parse("SKU").expect("a SKU"),
        name: "Thing".into(),
        description: String::new(),
        price: Money::new(price, currency.parse().expect("known")),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id: seller.user_id,
        low_stock_threshold: None,
        created_at: AT,
        updated_at: AT,
        version: 1,
    }
}

fn wanted(lines: &[(&Product, u32)]) -> NewOrder {
    NewOrder {
        id: OrderId::mint(AT, [9; 10]),
        customer_id: buyer().user_id,
        lines: merge_lines(lines.iter().map(|(product, units)| (product.id, *units))).expect("legal lines"),
        shipping_address: None,
        note: None,
        expected_total: None,
    }
}

/// An order of two units from one seller and three from another.
fn placed() -> Order {
    let (mug, hat) = (
        product(10, &seller(2), 500, "EUR"),
        product(11, &seller(3), 700, "EUR"),
    );
    let new = wanted(&[(&mug, 2), (&hat, 3)]);
    place(&new, &[mug, hat], AT, DEADLINE)
        .expect("a legal order")
        .order
}

fn confirmed() -> Order {
    let id = PaymentId::mint(AT, [5; 10]);
    let paid = pay(
        &placed(),
        id,
        (PaymentProvider::Test, "card", None),
        buyer().user_id,
        AT,
    )
    .expect("payable");
    paid.change.order
}

fn shipment(order: &Order, units: &[(usize, u32)]) -> NewFulfilment {
    let lines = units
        .iter()
        .filter_map(|(line, units)| {
            let product_id = order.lines[*line].product_id;
            Quantity::new(*units).map(|quantity| WantedLine { product_id, quantity })
        })
        .collect();
    NewFulfilment {
        id: FulfilmentId::mint(AT, [6; 10]),
        lines,
        carrier: None,
        tracking: None,
    }
}

#[test]
fn an_order_costs_the_sum_of_its_lines() {
    assert_eq!(placed().total.amount, 2 * 500 + 3 * 700);
    assert_eq!(placed().expires_at, Some(AT.plus(DEADLINE)));
}

#[test]
fn repeated_products_are_added_up() {
    let mug = product(10, &seller(2), 500, "EUR");
    let lines = merge_lines([(mug.id, 2), (mug.id, 3)]).expect("legal");
    assert_eq!(
        lines,
        vec![WantedLine {
            product_id: mug.id,
            quantity: Quantity::new(5).expect("legal")
        }]
    );
}

#[test]
fn too_many_lines_and_units_are_refused() {
    let id = |n: u8| ProductId::mint(AT, [n; 10]);
    assert!(merge_lines([]).is_err());
    assert!(merge_lines([(id(1), 0)]).is_err());
    assert!(merge_lines([(id(1), 6_000), (id(1), 6_000)]).is_err());
    assert!(merge_lines((0..101).map(|n| (id(n), 1))).is_err());
    assert!(merge_lines((0..100).map(|n| (id(n), 1))).is_ok());
}

#[test]
fn currencies_do_not_mix_in_an_order() {
    let (mug, hat) = (
        product(10, &seller(2), 500, "EUR"),
        product(11, &seller(3), 700, "USD"),
    );
    let refused = place(
        &wanted(&[(&mug, 1), (&hat, 1)]),
        &[mug.clone(), hat.clone()],
        AT,
        DEADLINE,
    );
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
}

#[test]
fn a_draft_cannot_be_ordered() {
    let draft = Product {
        status: ProductStatus::Draft,
        ..product(10, &seller(2), 500, "EUR")
    };
    assert!(matches!(
        place(
            &wanted(&[(&draft, 1)]),
            std::slice::from_ref(&draft),
            AT,
            DEADLINE
        ),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn a_total_that_was_not_expected_is_refused() {
    let mug = product(10, &seller(2), 500, "EUR");
    let new = NewOrder {
        expected_total: Some(Money::new(499, mug.price.currency)),
        ..wanted(&[(&mug, 1)])
    };
    let refused = place(&new, std::slice::from_ref(&mug), AT, DEADLINE);
    assert_eq!(refused, Err(Refusal::PriceChanged { actual: mug.price }));
}

#[test]
fn a_total_beyond_i64_is_refused() {
    let gem = product(10, &seller(2), i64::MAX / 2, "EUR");
    assert!(matches!(
        place(&wanted(&[(&gem, 3)]), std::slice::from_ref(&gem), AT, DEADLINE),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn a_declined_payment_leaves_the_order_payable() {
    let id = PaymentId::mint(AT, [5; 10]);
    let paid = pay(
        &placed(),
        id,
        (PaymentProvider::Test, "decline", None),
        buyer().user_id,
        AT,
    )
    .expect("decided");
    assert!(matches!(paid.outcome, Err(Refusal::PaymentDeclined { .. })));
    assert_eq!(paid.change.order.status, OrderStatus::PendingPayment);
    assert_eq!(paid.change.order.version, 2);
}

#[test]
fn a_payment_after_the_deadline_is_refused() {
    let id = PaymentId::mint(AT, [5; 10]);
    let late = pay(
        &placed(),
        id,
        (PaymentProvider::Test, "card", None),
        buyer().user_id,
        AT.plus(DEADLINE),
    );
    assert!(matches!(
        late,
        Err(Refusal::InvalidTransition {
            from: OrderStatus::Expired,
            ..
        })
    ));
}

#[test]
fn cancelling_refunds_what_was_captured_and_releases_everything() {
    let change = cancel(&confirmed(), &buyer(), None, AT).expect("a legal move");
    let payment = change.order.payment.as_ref().expect("was paid");
    assert_eq!(payment.refunded, payment.captured);
    assert!(change.unsettled);
    for line in &change.order.lines {
        assert_eq!(
            change.order.progress_of(line),
            Progress {
                shipped: 0,
                released: line.quantity
            }
        );
    }
}

#[test]
fn a_seller_of_some_lines_ships_only_those_and_cannot_cancel() {
    let order = confirmed();
    assert_eq!(cancel(&order, &seller(2), None, AT), Err(Refusal::Forbidden));
    let (change, _) = fulfil(&order, shipment(&order, &[(0, 2)]), &seller(2), AT).expect("own line");
    assert_eq!(change.order.status, OrderStatus::PartiallyFulfilled);
    assert!(matches!(
        fulfil(&order, shipment(&order, &[(1, 1)]), &seller(2), AT),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn strangers_and_customers_cannot_ship() {
    let order = confirmed();
    assert_eq!(
        fulfil(&order, shipment(&order, &[(0, 1)]), &buyer(), AT),
        Err(Refusal::Forbidden)
    );
    let stranger = seller(4);
    assert_eq!(
        fulfil(&order, shipment(&order, &[(0, 1)]), &stranger, AT),
        Err(Refusal::NotFound)
    );
}

#[test]
fn a_seller_sees_own_lines_and_their_total() {
    let seen = placed().only_lines_of(seller(3).user_id);
    assert_eq!((seen.lines.len(), seen.total.amount), (1, 2_100));
}

#[test]
fn an_order_with_time_left_does_not_expire() {
    assert!(expire(&placed(), AT).is_err());
    assert_eq!(
        expire(&placed(), AT.plus(DEADLINE)).map(|change| change.order.status),
        Ok(OrderStatus::Expired)
    );
}

fn reported(n: u8, outcome: Reported) -> PaymentReport {
    PaymentReport {
        id: PaymentId::mint(AT, [n; 10]),
        provider: PaymentProvider::Test,
        reference: format!("pay_{n}"),
        amount: placed().total,
        outcome,
    }
}

fn captured(n: u8) -> PaymentReport {
    reported(n, Reported::Captured)
}

#[derive(Clone, Debug)]
enum Move {
    Pay(&'static str, Option<&'static str>),
    Cancel(u8),
    Ship(u8, usize, u32),
    Expire(u64),
    Edit(i64),
    Report(u8, bool, u64),
    Decline(u8),
    Revive,
    RefundLate,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (
            prop_oneof![Just("card"), Just("decline"), Just("authorize")],
            prop_oneof![Just(None), Just(Some("pay_1"))]
        )
            .prop_map(|(method, reference)| Move::Pay(method, reference)),
        (1_u8..5).prop_map(Move::Cancel),
        (1_u8..5, 0_usize..2, 1_u32..5).prop_map(|(who, line, units)| Move::Ship(who, line, units)),
        (0_u64..2_000).prop_map(Move::Expire),
        (0_i64..10).prop_map(Move::Edit),
        (0_u8..6, any::<bool>(), 0_u64..2_000).prop_map(|(n, fits, at)| Move::Report(n, fits, at)),
        (0_u8..3).prop_map(Move::Decline),
        Just(Move::Revive),
        Just(Move::RefundLate),
    ]
}

fn who(n: u8) -> Caller {
    match n {
        1 => buyer(),
        2 | 3 => seller(n),
        _ => caller(n, Role::Admin),
    }
}

fn known_of(order: &Order, news: &PaymentReport, known: &[(PaymentId, String)]) -> KnownNames {
    let own = order.payment.as_ref().map(|payment| payment.id);
    let of_payment = known.iter().rev().find(|(id, _)| Some(*id) == own);
    KnownNames {
        is_known: known.iter().any(|(_, name)| *name == news.reference),
        of_payment: of_payment.map(|(_, name)| name.clone()),
    }
}

/// Tries a move; `known` are the names of payments that were told.
fn attempt(order: &Order, attempted: &Move, known: &[(PaymentId, String)]) -> Result<Change, Refusal> {
    match attempted {
        Move::Report(n, fits, seconds) => {
            let mut news = captured(*n);
            news.amount.amount += i64::from(!fits);
            let at = AT.plus(Duration::from_secs(*seconds));
            report(order, &news, &known_of(order, &news, known), at).ok_or(Refusal::NotFound)
        }
        Move::Decline(n) => {
            let news = reported(*n, Reported::Declined("no money".into()));
            // A promise that was made with a name is declined by it.
            let names = KnownNames {
                of_payment: Some(news.reference.clone()),
                ..known_of(order, &news, known)
            };
            report(order, &news, &names, AT).ok_or(Refusal::NotFound)
        }
        Move::Revive => revive(order, AT),
        Move::RefundLate => refund_late(order, AT),
        Move::Pay(_, Some(name)) if known.iter().any(|(_, known)| known == name) => Err(Refusal::NotFound),
        Move::Pay(method, reference) => {
            let id = PaymentId::mint(AT, [5; 10]);
            pay(
                order,
                id,
                (PaymentProvider::Test, method, *reference),
                buyer().user_id,
                AT,
            )
            .map(|paid| paid.change)
        }
        Move::Cancel(n) => cancel(order, &who(*n), Some("changed my mind"), AT),
        Move::Ship(n, line, units) => {
            fulfil(order, shipment(order, &[(*line, *units)]), &who(*n), AT).map(|(change, _)| change)
        }
        Move::Expire(seconds) => expire(order, AT.plus(Duration::from_secs(*seconds))),
        Move::Edit(version) => {
            let patch = OrderPatch {
                note: Some(Some("ring twice".into())),
                ..OrderPatch::default()
            };
            edit(order, patch, *version, &buyer(), AT)
        }
    }
}

proptest! {
    #[test]
    fn no_illegal_transition_passes(moves in prop::collection::vec(any_move(), 0..40)) {
        let mut order = placed();
        let (mut known, mut held, mut round) = (Vec::new(), 0, 0);
        for attempted in &moves {
            let Ok(change) = attempt(&order, attempted, &known) else { continue };
            let Change { order: next, events, .. } = &change;
            prop_assert!(
                next.status == order.status || order.status.may_become(next.status),
                "{} became {} by {:?}", order.status, next.status, attempted
            );
            for event in events {
                let data = event.data.to_map();
                let name = data.get("reference").and_then(|name| name.as_str());
                let id = data.get("payment").and_then(|payment| serde_json::from_value(payment["id"].clone()).ok());
                let is_captured = data.get("payment").is_some_and(|payment| payment["status"] != "authorised");
                match event.kind {
                    EventKind::PaymentCaptured | EventKind::OrderUpdated if is_captured => {
                        known.extend(id.zip(name.map(str::to_owned)));
                    }
                    _ => {}
                }
                match event.kind {
                    EventKind::PaymentCaptured => {
                        held += data["payment"]["captured"].as_i64().expect("a number");
                    }
                    EventKind::PaymentRefunded => {
                        held -= data["payment"]["refunded"].as_i64().expect("a number");
                    }
                    _ => {}
                }
            }
            let told = next.payment.as_ref().map_or(0, |payment| payment.captured - payment.refunded);
            prop_assert_eq!(held, told, "the money that the shop holds is the order's");
            let has_revived = order.status == OrderStatus::Expired && next.status == OrderStatus::Confirmed;
            prop_assert!(!has_revived || round > 0, "its units were asked for anew");
            round += u32::from(change.renews);
            prop_assert!(!events.is_empty());
            prop_assert_eq!(next.version, order.version + i64::try_from(events.len()).unwrap_or(0));
            prop_assert_eq!(next.total, order.total);
            for line in &next.lines {
                prop_assert!(line.fulfilled <= line.quantity);
                let Progress { shipped, released } = next.progress_of(line);
                prop_assert!(shipped + released <= line.quantity);
            }
            if let Some(payment) = &next.payment {
                prop_assert!(0 <= payment.refunded && payment.refunded <= payment.captured);
                prop_assert!(payment.captured <= next.total.amount);
            }
            order = change.order;
        }
        let mut names: Vec<_> = known.into_iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        let captures = names.len();
        names.dedup();
        prop_assert_eq!(names.len(), captures, "no payment is taken twice");
    }
}
