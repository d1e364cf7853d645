//! What stands in a batch's way: stale versions, keys that were used before, and its own faults.

use holdfast_domain::OrderId;
use holdfast_store::{Duplicate, OrderExpected, OrderWrite, Stale, StockWrite, StoreError};

use crate::{
    draft::Draft,
    shop::{Shop, account, later, operation},
};

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
