//! What providers report of payments, and what becomes of their orders.

use super::*;

/// Neither the reported payment nor the order's own was ever named.
fn new() -> KnownNames {
    KnownNames::default()
}

/// The reported payment was told of.
fn repeated() -> KnownNames {
    KnownNames {
        is_known: true,
        ..new()
    }
}

/// The order's payment is known by this name, and the reported one is not.
fn beside(name: &str) -> KnownNames {
    KnownNames {
        of_payment: Some(name.to_owned()),
        ..new()
    }
}

fn kinds(change: &Change) -> Vec<EventKind> {
    change.events.iter().map(|event| event.kind).collect()
}

/// An order that expired unpaid, and was paid then.
fn paid_late() -> Change {
    let expired = expire(&placed(), AT.plus(DEADLINE))
        .expect("its time is over")
        .order;
    report(&expired, &captured(1), &new(), AT.plus(DEADLINE)).expect("news")
}

#[test]
fn a_payment_that_is_reported_in_time_confirms_the_order() {
    let change = report(&placed(), &captured(1), &new(), AT).expect("news");
    assert_eq!(change.order.status, OrderStatus::Confirmed);
    assert_eq!(change.order.expires_at, None);
    assert_eq!(
        kinds(&change),
        [EventKind::PaymentCaptured, EventKind::OrderConfirmed]
    );
    assert!(
        !change.renews && !change.unsettled,
        "its units are reserved still"
    );
    assert_eq!(
        report(&change.order, &captured(1), &repeated(), AT),
        None,
        "a repeat"
    );
}

#[test]
fn a_payment_that_comes_after_the_deadline_asks_for_the_units_anew_swept_or_not() {
    let late = AT.plus(DEADLINE);
    let unswept = report(&placed(), &captured(1), &new(), late).expect("news");
    assert_eq!(
        kinds(&unswept),
        [EventKind::OrderExpired, EventKind::PaymentCaptured]
    );
    let swept = paid_late();
    assert_eq!(kinds(&swept), [EventKind::PaymentCaptured]);
    for change in [unswept, swept] {
        assert_eq!(change.order.status, OrderStatus::Expired);
        assert_eq!(change.order.version, 3);
        assert!(change.order.awaits_units() && change.renews && change.unsettled);
        let payment = change.order.payment.as_ref().expect("is noted");
        assert_eq!((payment.captured, payment.refunded), (3_100, 0));
        assert_eq!(
            report(&change.order, &captured(1), &repeated(), late),
            None,
            "a repeat"
        );
    }
}

#[test]
fn an_order_that_was_paid_late_is_confirmed_or_refunded_once() {
    let order = paid_late().order;
    let revived = revive(&order, AT.plus(DEADLINE)).expect("has its units");
    assert_eq!(revived.order.status, OrderStatus::Confirmed);
    assert_eq!(kinds(&revived), [EventKind::OrderConfirmed]);
    let refunded = refund_late(&order, AT.plus(DEADLINE)).expect("has not");
    assert_eq!(refunded.order.status, OrderStatus::Expired);
    assert_eq!(kinds(&refunded), [EventKind::PaymentRefunded]);
    assert!(refunded.unsettled);
    let payment = refunded.order.payment.as_ref().expect("is noted");
    assert_eq!(
        (payment.status, payment.refunded),
        (PaymentStatus::Refunded, payment.captured)
    );
    for Change { order, .. } in [revived, refunded] {
        assert!(revive(&order, AT).is_err() && refund_late(&order, AT).is_err());
    }
    let expired = expire(&placed(), AT.plus(DEADLINE))
        .expect("its time is over")
        .order;
    assert!(
        revive(&expired, AT).is_err() && refund_late(&expired, AT).is_err(),
        "unpaid"
    );
}

#[test]
fn a_refunded_order_may_be_paid_late_once_more() {
    let refunded = refund_late(&paid_late().order, AT).expect("waits").order;
    let change = report(&refunded, &captured(2), &beside("pay_1"), AT).expect("news");
    assert!(change.order.awaits_units() && change.renews);
}

#[test]
fn money_that_does_not_pay_the_order_goes_back_and_the_order_stays() {
    let late = paid_late().order;
    let cancelled = cancel(&placed(), &buyer(), None, AT).expect("legal").order;
    let cheap = PaymentReport {
        amount: Money::new(1, placed().total.currency),
        ..captured(2)
    };
    for (order, report_of) in [
        (confirmed(), captured(2)),
        (cancelled, captured(2)),
        (late, captured(2)),
        (placed(), cheap),
    ] {
        let change = report(&order, &report_of, &beside("pay_1"), AT).expect("news");
        assert_eq!(
            kinds(&change),
            [EventKind::PaymentCaptured, EventKind::PaymentRefunded]
        );
        let unmoved = Order {
            version: order.version + 2,
            updated_at: AT,
            ..order
        };
        assert_eq!(change.order, unmoved);
        assert!(!change.unsettled && !change.renews);
    }
}

#[test]
fn the_first_report_of_the_same_money_names_a_payment_that_was_made_without_a_name() {
    let cancelled = cancel(&confirmed(), &buyer(), None, AT).expect("legal").order;
    for order in [confirmed(), cancelled] {
        let change = report(&order, &captured(1), &new(), AT).expect("news");
        assert_eq!(kinds(&change), [EventKind::OrderUpdated]);
        let data = change.events[0].data.to_map();
        assert_eq!(data["reference"], "pay_1");
        assert_eq!(data["payment"], json!(order.payment));
        let unmoved = Order {
            version: order.version + 1,
            updated_at: AT,
            ..order
        };
        assert_eq!(change.order, unmoved, "no money moves");
    }
}

#[test]
fn other_money_is_not_taken_for_a_payment_without_a_name() {
    let manual = PaymentReport {
        provider: PaymentProvider::Manual,
        ..captured(1)
    };
    let cheap = PaymentReport {
        amount: Money::new(1, placed().total.currency),
        ..captured(1)
    };
    for other in [manual, cheap] {
        let change = report(&confirmed(), &other, &new(), AT).expect("news");
        assert_eq!(
            kinds(&change),
            [EventKind::PaymentCaptured, EventKind::PaymentRefunded]
        );
    }
}

#[test]
fn a_payment_that_is_made_with_a_name_is_told_by_it() {
    let id = PaymentId::mint(AT, [5; 10]);
    for (method, told) in [("card", 2), ("authorize", 1)] {
        let by = (PaymentProvider::Test, method, Some("pay_1"));
        let paid = pay(&placed(), id, by, buyer().user_id, AT).expect("payable");
        let events = &paid.change.events;
        assert_eq!(events.len(), told);
        assert!(
            events
                .iter()
                .all(|event| event.data.to_map()["reference"] == "pay_1")
        );
    }
}

#[test]
fn money_that_was_promised_comes_later() {
    let by = (PaymentProvider::Test, "authorize", None);
    let paid = pay(&placed(), PaymentId::mint(AT, [5; 10]), by, buyer().user_id, AT).expect("payable");
    let change = report(&paid.change.order, &captured(1), &new(), AT).expect("news");
    assert_eq!(kinds(&change), [EventKind::PaymentCaptured]);
    let payment = change.order.payment.as_ref().expect("is noted");
    assert_eq!(payment.id, PaymentId::mint(AT, [5; 10]));
    assert_eq!(
        (payment.status, payment.captured),
        (PaymentStatus::Captured, 3_100)
    );
}

#[test]
fn a_report_of_a_declined_payment_is_told_while_the_order_waits_for_one() {
    let declined = reported(1, Reported::Declined("no money".into()));
    let change = report(&placed(), &declined, &new(), AT).expect("news");
    assert_eq!(kinds(&change), [EventKind::PaymentDeclined]);
    assert_eq!(change.order.status, OrderStatus::PendingPayment);
    assert_eq!(report(&confirmed(), &declined, &new(), AT), None);
}

/// An order that was confirmed on a promise of money.
fn promised(reference: Option<&str>) -> Order {
    let by = (PaymentProvider::Test, "authorize", reference);
    let paid = pay(&placed(), PaymentId::mint(AT, [5; 10]), by, buyer().user_id, AT);
    paid.expect("payable").change.order
}

#[test]
fn an_order_whose_promised_money_is_declined_is_not_shipped_until_it_is_paid_once_more() {
    let declined = reported(1, Reported::Declined("no money".into()));
    let change = report(&promised(Some("pay_1")), &declined, &beside("pay_1"), AT).expect("news");
    assert_eq!(kinds(&change), [EventKind::PaymentDeclined]);
    let order = change.order;
    assert!(order.lacks_payment());
    assert_eq!(order.status, OrderStatus::Confirmed);
    assert_eq!(report(&order, &declined, &beside("pay_1"), AT), None, "told once");
    let shipped = fulfil(&order, shipment(&order, &[(0, 1)]), &seller(2), AT);
    assert!(matches!(shipped, Err(Refusal::InvalidTransition { .. })));
    let cancelled = cancel(&order, &buyer(), None, AT).expect("legal").order;
    assert!(!cancelled.lacks_payment());

    let again = |method| {
        let by = (PaymentProvider::Test, method, None);
        pay(&order, PaymentId::mint(AT, [7; 10]), by, buyer().user_id, AT)
            .expect("payable")
            .change
    };
    let by_report = report(&order, &captured(2), &beside("pay_1"), AT).expect("news");
    for (change, told) in [
        (again("card"), EventKind::PaymentCaptured),
        (again("authorize"), EventKind::OrderUpdated),
        (by_report, EventKind::PaymentCaptured),
    ] {
        assert_eq!(kinds(&change), [told], "it was confirmed before");
        let paid = change.order;
        assert_eq!(paid.status, OrderStatus::Confirmed);
        assert_ne!(
            paid.payment.as_ref().map(|payment| payment.id),
            order.payment.as_ref().map(|payment| payment.id)
        );
        assert!(fulfil(&paid, shipment(&paid, &[(0, 1)]), &seller(2), AT).is_ok());
    }
}

#[test]
fn a_payment_that_was_tried_and_declined_before_takes_nothing_from_the_one_that_was_promised() {
    let declined = reported(1, Reported::Declined("no money".into()));
    for (reference, names) in [(None, new()), (Some("pay_2"), beside("pay_2"))] {
        assert_eq!(report(&promised(reference), &declined, &names, AT), None);
    }
    let manual = PaymentReport {
        provider: PaymentProvider::Manual,
        ..declined
    };
    assert_eq!(
        report(&promised(Some("pay_1")), &manual, &beside("pay_1"), AT),
        None
    );
}
