//! The lane's batch: all or nothing, and once however often it is sent.

use holdfast_domain::{
    MovementKind, Order, OrderId, OrderStatus, PaymentId, PaymentProvider, ProductId,
    order::{self, Change, KnownNames, PaymentReport, Reported},
};
use holdfast_store::{Committed, OrderExpected, OrderState, OrderWrite, Service, Stale, StoreError};

use crate::{
    draft::{Draft, record},
    shop::{NOW, Shop, later},
};

#[tokio::test]
async fn an_order_is_committed_with_its_reservation_its_ledger_and_its_event() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let cup = shop.product("CUP", 5).await;
    let mut draft = Draft::new(&shop);
    let placed = draft.place("first-order", &[(mug.id, 2), (cup.id, 1)]).await;
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("commits"),
        Committed::Now
    );

    let stock = shop.stock(&mug).await;
    assert_eq!((stock.on_hand, stock.reserved, stock.version), (5, 2, 2));
    let stored = shop
        .store
        .order_record(placed.id)
        .await
        .expect("reads")
        .expect("an order");
    assert_eq!(stored, draft.batch.orders[0].record);
    assert_eq!(
        shop.store.placed_snapshot(placed.id).await.expect("reads"),
        Some(placed.clone())
    );
    let reserved = shop.store.reservations_of(placed.id).await.expect("reads");
    assert_eq!(reserved.len(), 2);
    shop.close().await;
}

#[tokio::test]
async fn many_orders_of_one_product_are_one_batch() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 300).await;
    let mut draft = Draft::new(&shop);
    for n in 0..256 {
        draft.place(&format!("order-{n:03}"), &[(mug.id, 1)]).await;
    }
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    assert_eq!(shop.stock(&mug).await.version, 257);
    assert_eq!(shop.stock(&mug).await.reserved, 256);
    shop.close().await;
}

/// Has one of the lane's functions begin with `statement`.
async fn begin_with(shop: &Shop, function: &str, statement: &str) {
    let mut connection = shop.database.connection().await;
    let definition: String = sqlx::query_scalar("SELECT pg_get_functiondef($1::regproc)")
        .bind(function)
        .fetch_one(&mut connection)
        .await
        .expect("reads");
    let changed = definition.replacen("BEGIN", &format!("BEGIN {statement};"), 1);
    sqlx::raw_sql(sqlx::AssertSqlSafe(changed))
        .execute(&mut connection)
        .await
        .expect("replaces");
}

#[tokio::test]
async fn a_batch_that_meets_what_it_expects_is_not_looked_at_closely() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    begin_with(&shop, "lane_commit_rows", "RAISE EXCEPTION 'looked closely'").await;

    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");

    let mut repeated = Draft::new(&shop);
    repeated.place("first-order", &[(mug.id, 1)]).await;
    let error = shop
        .store
        .lane_commit(&repeated.batch)
        .await
        .expect_err("refuses");
    assert!(
        matches!(&error, StoreError::Rejected(why) if why.to_string().contains("looked closely")),
        "{error:?}"
    );
    shop.close().await;
}

#[tokio::test]
async fn a_batch_in_whose_way_nothing_is_when_it_is_looked_at_closely_is_committed() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mistaken = "RAISE EXCEPTION 'rows are not as expected' USING ERRCODE = 'HF006'";
    begin_with(&shop, "lane_commit_expected", mistaken).await;

    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("commits"),
        Committed::Now
    );
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("answers"),
        Committed::Already
    );
    assert_eq!(shop.stock(&mug).await.reserved, 1);
    shop.close().await;
}

#[tokio::test]
async fn the_same_batch_sent_twice_is_committed_once() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("commits"),
        Committed::Now
    );
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("answers"),
        Committed::Already
    );
    assert_eq!(shop.stock(&mug).await.reserved, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_that_is_sent_again_while_it_still_runs_is_committed_once() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    let send = || {
        let (store, batch) = (shop.store.clone(), draft.batch.clone());
        tokio::spawn(async move { store.lane_commit(&batch).await.expect("answers") })
    };
    let (one, other) = tokio::join!(send(), send());
    let mut answers = [one.expect("ends"), other.expect("ends")].map(|answer| answer == Committed::Now);
    answers.sort_unstable();
    assert_eq!(answers, [false, true]);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_can_be_sent_again() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;

    // The commit waits for a lock until its connection is cut.
    let mut connection = shop.database.connection().await;
    let mut blocker = sqlx::Connection::begin(&mut connection).await.expect("begins");
    sqlx::query("SELECT FROM stock FOR UPDATE")
        .execute(&mut *blocker)
        .await
        .expect("locks");
    let (store, batch) = (shop.store.clone(), draft.batch.clone());
    let lost = tokio::spawn(async move { store.lane_commit(&batch).await });
    shop.until_somebody_waits().await;
    shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        .await;
    let error = lost.await.expect("ends").expect_err("the connection was cut");
    assert!(
        !error.is_certainly_aborted() && error.is_unavailable(),
        "{error:?}"
    );
    blocker.rollback().await.expect("rolls back");

    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("commits"),
        Committed::Now
    );
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("answers"),
        Committed::Already
    );
    shop.close().await;
}

#[tokio::test]
async fn an_empty_batch_commits() {
    let shop = Shop::open().await;
    let draft = Draft::new(&shop);
    assert_eq!(
        shop.store.lane_commit(&draft.batch).await.expect("commits"),
        Committed::Now
    );
    shop.close().await;
}

#[tokio::test]
async fn an_order_that_is_being_placed_becomes_one_once() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    let placed = draft.place("first-order", &[(mug.id, 1)]).await;
    let confirmed = draft.batch.clone();

    // First the order alone, while its product is being asked.
    let mut intent = Draft::new(&shop);
    intent.batch.orders.push(OrderWrite {
        record: record(&placed, "first-order", OrderState::Placing { deadline: NOW }),
        expected: OrderExpected::Absent,
    });
    shop.store.lane_commit(&intent.batch).await.expect("commits");
    let found = shop
        .store
        .order_record(placed.id)
        .await
        .expect("reads")
        .expect("an order");
    assert_eq!(found.state, OrderState::Placing { deadline: NOW });

    let mut batch = confirmed;
    batch.orders[0].expected = OrderExpected::Placing;
    shop.store.lane_commit(&batch).await.expect("commits");
    batch.batch_id = OrderId::mint(later(), [9; 10]).0;
    batch.stock.clear();
    batch.movements.clear();
    batch.reservations.clear();
    let Err(StoreError::Version(rows)) = shop.store.lane_commit(&batch).await else {
        panic!("the order is no longer being placed");
    };
    let version = Some(1);
    assert_eq!(
        rows,
        [Stale::Order {
            order_id: placed.id,
            version
        }]
    );
    shop.close().await;
}

#[tokio::test]
async fn units_are_shipped_once_however_often_it_is_told() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    let placed = draft.place("first-order", &[(mug.id, 3)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");

    let cancelled = order::expire(&placed, placed.expires_at.expect("a deadline")).expect("is due");
    let mut settling = Draft::new(&shop);
    settling.settle(&cancelled.order).await;
    assert_eq!(settling.batch.movements[0].change.kind, MovementKind::Release);
    let mut repeated = settling.batch.clone();
    settling.batch.orders.push(OrderWrite {
        record: record(&cancelled.order, "first-order", OrderState::Placed),
        expected: OrderExpected::Placed { version: 1 },
    });
    let events = crate::draft::events(&cancelled, 1);
    settling.batch.events.extend(
        events
            .into_iter()
            .map(|event| holdfast_store::EventWrite { event, epoch: 1 }),
    );
    shop.store.lane_commit(&settling.batch).await.expect("commits");
    assert_eq!(shop.stock(&mug).await.reserved, 0);

    repeated.batch_id = OrderId::mint(later(), [8; 10]).0;
    repeated.stock[0].expected_version = 3;
    repeated.stock[0].level.version = 4;
    repeated.movements[0].level.version = 4;
    let Err(StoreError::Version(rows)) = shop.store.lane_commit(&repeated).await else {
        panic!("the reservation has moved on");
    };
    assert_eq!(
        rows,
        [Stale::Reservation {
            product_id: mug.id,
            order_id: placed.id
        }]
    );
    shop.close().await;
}

/// Places an order, lets it expire and settles it; returns it as it was placed and the change that expired it.
async fn expired(shop: &Shop, product: ProductId) -> (Order, Change) {
    let mut draft = Draft::new(shop);
    let placed = draft.place("first-order", &[(product, 3)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let late = placed.expires_at.expect("a deadline");
    let expired = order::expire(&placed, late).expect("is due");
    let mut settling = Draft::new(shop);
    settling.settle(&expired.order).await;
    settling.move_order(&placed, &expired, "first-order", 0);
    shop.store.lane_commit(&settling.batch).await.expect("commits");
    (placed, expired)
}

/// Has the provider report that an order was paid after it had expired.
async fn paid_late(shop: &Shop, expired: &Order) -> Change {
    let report = PaymentReport {
        id: PaymentId::mint(NOW, [5; 10]),
        provider: PaymentProvider::Test,
        reference: "pay_1".to_owned(),
        amount: expired.total,
        outcome: Reported::Captured,
    };
    let paid = order::report(expired, &report, &KnownNames::default(), expired.updated_at).expect("news");
    let mut paying = Draft::new(shop);
    paying.move_order(expired, &paid, "first-order", 1);
    shop.store.lane_commit(&paying.batch).await.expect("commits");
    paid
}

#[tokio::test]
async fn an_order_that_is_paid_late_has_its_units_reserved_anew_once() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let (placed, expired) = expired(&shop, mug.id).await;
    assert_eq!(shop.stock(&mug).await.reserved, 0);
    let known = async || {
        let known = shop
            .store
            .payment_is_known(placed.id, PaymentProvider::Test, "pay_1");
        known.await.expect("reads")
    };
    assert!(!known().await);
    let paid = paid_late(&shop, &expired.order).await;
    assert!(known().await);
    let payment = paid.order.payment.as_ref().expect("is noted");
    let name = shop
        .store
        .payment_name(placed.id, payment.id)
        .await
        .expect("reads");
    assert_eq!(name.as_deref(), Some("pay_1"));
    let unknown = PaymentId::mint(NOW, [6; 10]);
    let name = shop.store.payment_name(placed.id, unknown).await.expect("reads");
    assert_eq!(name, None);

    let mut renewing = Draft::new(&shop);
    renewing.renew(&paid.order, 1).await;
    shop.store.lane_commit(&renewing.batch).await.expect("commits");
    assert_eq!(shop.stock(&mug).await.reserved, 3);
    let mut repeated = renewing.batch.clone();
    repeated.batch_id = OrderId::mint(later(), [8; 10]).0;
    repeated.stock[0].expected_version += 1;
    repeated.stock[0].level.version += 1;
    repeated.movements[0].level.version += 1;
    let Err(StoreError::Version(rows)) = shop.store.lane_commit(&repeated).await else {
        panic!("the round has begun");
    };
    let (product_id, order_id) = (mug.id, placed.id);
    assert_eq!(rows, [Stale::Reservation { product_id, order_id }]);

    let revived = order::revive(&paid.order, paid.order.updated_at).expect("has its units");
    let mut reviving = Draft::new(&shop);
    reviving.move_order(&paid.order, &revived, "first-order", 1);
    shop.store.lane_commit(&reviving.batch).await.expect("commits");
    let found = shop.store.order_record(placed.id).await.expect("reads");
    let found = found.expect("an order");
    assert_eq!((found.order.status, found.round), (OrderStatus::Confirmed, 1));
    for finding in shop.store.audit().await.expect("audits") {
        assert_eq!(finding.breaches, 0, "{finding:?}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_home_of_the_release_before_does_not_settle_an_order_that_waits_for_its_units() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let (_, expired) = expired(&shop, mug.id).await;
    let paid = paid_late(&shop, &expired.order).await.order;
    let lease = shop.lease(Service::Orders, paid.id.shard());
    let mut connection = shop.database.connection().await;
    let settled: bool = sqlx::query_scalar("SELECT order_settled($1, $2, $3, $4)")
        .bind(lease.node_id.0)
        .bind(lease.epoch)
        .bind(paid.id.0)
        .bind(paid.version)
        .fetch_one(&mut connection)
        .await
        .expect("answers");
    assert!(!settled, "it has told products of the first round alone");
    let found = shop.store.order_record(paid.id).await.expect("reads");
    assert!(found.expect("an order").unsettled, "a newer home will find it");
    drop(connection);
    shop.close().await;
}
