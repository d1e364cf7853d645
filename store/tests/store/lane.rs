//! The lane's batch: all or nothing, once, and exact about what stood in its way.

use holdfast_domain::{MovementKind, OrderId, order};
use holdfast_store::{
    Committed, Duplicate, OrderExpected, OrderState, OrderWrite, Stale, StockWrite, StoreError,
};

use crate::{
    draft::{Draft, record},
    shop::{NOW, Shop, account, later, operation},
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
async fn a_version_mismatch_names_its_product_and_writes_nothing() {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 5).await, shop.product("CUP", 5).await);
    let mut stale = Draft::new(&shop);
    stale.place("first-order", &[(mug.id, 1)]).await;
    stale.place("second-order", &[(cup.id, 1)]).await;
    let mut quicker = Draft::new(&shop);
    quicker.adjust(mug.id, 3).await;
    shop.store.lane_commit(&quicker.batch).await.expect("commits");

    // The version that stands is the very one that the stale batch would make: that is no excuse.
    let error = shop.store.lane_commit(&stale.batch).await.expect_err("is stale");
    let StoreError::Version(rows) = &error else {
        panic!("{error:?}");
    };
    let version = Some(2);
    assert_eq!(
        *rows,
        [Stale::Stock {
            product_id: mug.id,
            version
        }]
    );
    assert!(error.is_certainly_aborted());
    assert_eq!(shop.count("orders").await, 0);
    assert_eq!(shop.stock(&cup).await.version, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_names_all_its_stale_rows_at_once() {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 5).await, shop.product("CUP", 5).await);
    let mut draft = Draft::new(&shop);
    let placed = draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");

    let mut stale = Draft::new(&shop);
    stale.adjust(cup.id, 1).await;
    stale.batch.stock[0].expected_version = 7;
    stale.batch.reservations.clone_from(&draft.batch.reservations);
    stale.batch.orders.push(OrderWrite {
        record: draft.batch.orders[0].record.clone(),
        expected: OrderExpected::Placed { version: 3 },
    });
    let Err(StoreError::Version(rows)) = shop.store.lane_commit(&stale.batch).await else {
        panic!("the batch is stale");
    };
    assert_eq!(
        rows,
        [
            Stale::Stock {
                product_id: cup.id,
                version: Some(1)
            },
            Stale::Reservation {
                product_id: mug.id,
                order_id: placed.id
            },
            Stale::Order {
                order_id: placed.id,
                version: Some(1)
            },
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn one_key_makes_one_order() {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 5).await, shop.product("CUP", 5).await);
    let mut first = Draft::new(&shop);
    let placed = first.place("the-very-key", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&first.batch).await.expect("commits");

    let mut second = Draft::new(&shop);
    let repeated = second.place("the-very-key", &[(cup.id, 1)]).await;
    second.place("another-key", &[(cup.id, 1)]).await;
    let Err(StoreError::Duplicate(keys)) = shop.store.lane_commit(&second.batch).await else {
        panic!("the key was used before");
    };
    let (order_id, existing) = (repeated.id, placed.id);
    assert_eq!(keys, [Duplicate::Order { order_id, existing }]);
    assert_eq!(shop.count("orders").await, 1);
    assert_eq!(shop.stock(&cup).await.reserved, 0);

    // The same order again, in another batch: its key made itself.
    first.batch.batch_id = OrderId::mint(later(), [9; 10]).0;
    let Err(StoreError::Duplicate(keys)) = shop.store.lane_commit(&first.batch).await else {
        panic!("the order exists");
    };
    assert_eq!(
        keys,
        [Duplicate::Order {
            order_id: placed.id,
            existing: placed.id
        }]
    );
    shop.close().await;
}

#[tokio::test]
async fn one_key_used_by_two_racing_lanes_makes_one_order() {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 50).await, shop.product("CUP", 50).await);
    for round in 0..10 {
        let key = format!("contended-{round}");
        let mut drafts = [Draft::new(&shop), Draft::new(&shop)];
        drafts[0].place(&key, &[(mug.id, 1)]).await;
        drafts[1].batch.lane = 1;
        drafts[1].place(&key, &[(cup.id, 1)]).await;
        let [one, other] = drafts.map(|draft| {
            let store = shop.store.clone();
            tokio::spawn(async move { store.lane_commit(&draft.batch).await })
        });
        let won = [one.await.expect("ends"), other.await.expect("ends")]
            .into_iter()
            .filter(|answer| match answer {
                Ok(_) => true,
                Err(StoreError::Duplicate(keys)) if keys.len() == 1 => false,
                other => panic!("{other:?}"),
            })
            .count();
        assert_eq!(won, 1);
    }
    assert_eq!(shop.count("orders").await, 10);
    shop.close().await;
}

#[tokio::test]
async fn the_keys_of_two_customers_do_not_clash() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let other = account("other", holdfast_domain::Role::Customer);
    shop.register(&other).await;
    let mut draft = Draft::new(&shop);
    draft.place("the-very-key", &[(mug.id, 1)]).await;
    draft.place_for(&other.user, "the-very-key", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    shop.close().await;
}

#[tokio::test]
async fn an_operation_is_recorded_with_its_effect_and_once() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let adjustment = operation("POST /v1/products/{id}/stock/adjustments", "adjust-once");
    let mut draft = Draft::new(&shop);
    draft.adjust(mug.id, 2).await;
    draft.batch.operations.push(adjustment.clone());
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let stored = shop
        .store
        .operation(
            adjustment.operation.principal,
            &adjustment.operation.route,
            &adjustment.operation.key,
        )
        .await
        .expect("reads")
        .expect("was recorded");
    assert_eq!(stored.fingerprint, adjustment.operation.fingerprint);
    assert_eq!(stored.outcome, adjustment.outcome);

    let mut again = Draft::new(&shop);
    again.adjust(mug.id, 2).await;
    again.batch.operations.push(adjustment.clone());
    let Err(StoreError::Duplicate(keys)) = shop.store.lane_commit(&again.batch).await else {
        panic!("the operation was recorded before");
    };
    let recorded = adjustment.operation;
    let (principal, route, key) = (recorded.principal, recorded.route, recorded.key);
    assert_eq!(
        keys,
        [Duplicate::Operation {
            principal,
            route,
            key
        }]
    );
    assert_eq!(shop.stock(&mug).await.on_hand, 7);
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

#[tokio::test]
async fn a_batch_that_names_a_row_twice_is_refused() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.adjust(mug.id, 1).await;
    let write: StockWrite = draft.batch.stock[0];
    draft.batch.stock.push(write);
    let error = shop
        .store
        .lane_commit(&draft.batch)
        .await
        .expect_err("contradicts itself");
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");

    let mut draft = Draft::new(&shop);
    draft.batch.operations = vec![
        operation("POST /v1/x", "the-very-key"),
        operation("POST /v1/x", "the-very-key"),
    ];
    let error = shop
        .store
        .lane_commit(&draft.batch)
        .await
        .expect_err("contradicts itself");
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");
    assert_eq!(shop.stock(&mug).await.version, 1);
    shop.close().await;
}

#[tokio::test]
async fn not_even_a_batch_can_oversell() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 5)]).await;
    draft.batch.stock[0].level.reserved = 6;
    let error = shop
        .store
        .lane_commit(&draft.batch)
        .await
        .expect_err("breaks a constraint");
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");
    assert!(error.is_certainly_aborted());
    assert_eq!(shop.count("orders").await, 0);
    shop.close().await;
}
