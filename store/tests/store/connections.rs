//! The connections over which batches are sent.

use std::time::Duration;

use holdfast_store::{Committed, Store, StoreError, StoreOptions};
use sqlx::AssertSqlSafe;
use tokio::{pin, runtime::Runtime, select, time::timeout};

use crate::{draft::Draft, shop::Shop};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Of `pg_stat_activity`, the connections to the shop whose last statement began as `lane_commit.sql` does.
const SENT_A_BATCH: &str = "datname = current_database() AND query LIKE '-- Commits a lane''s batch%'";

async fn connections_of_batches(shop: &Shop) -> i64 {
    let mut connection = shop.database.connection().await;
    let counted = format!("SELECT count(*) FROM pg_stat_activity WHERE {SENT_A_BATCH}");
    sqlx::query_scalar(AssertSqlSafe(counted))
        .fetch_one(&mut connection)
        .await
        .expect("reads")
}

/// Ends them, as a server does that is told to; tells of each whether it has ended.
async fn end_connections_of_batches(shop: &Shop) -> Vec<bool> {
    let mut connection = shop.database.connection().await;
    let ended = format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {SENT_A_BATCH}");
    sqlx::query_scalar(AssertSqlSafe(ended))
        .fetch_all(&mut connection)
        .await
        .expect("a superuser may")
}

/// Waits until the server has seen them end.
async fn until_no_connection_of_batches_is_left(shop: &Shop) {
    let none_is_left = async { while connections_of_batches(shop).await > 0 {} };
    timeout(LIMIT, none_is_left).await.expect("all end");
}

#[tokio::test]
async fn batches_that_follow_each_other_are_sent_over_one_connection() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    for _ in 0..10 {
        let again = shop.store.lane_commit(&draft.batch).await;
        assert_eq!(again.expect("answers"), Committed::Already);
    }
    assert_eq!(connections_of_batches(&shop).await, 1);

    let nobody_uses_any = async {
        while shop.store.pool_figures().idle < shop.store.pool_figures().connections {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, nobody_uses_any).await.expect("they are idle");
    shop.close().await;
}

#[tokio::test]
async fn a_batch_that_is_refused_costs_no_connection() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let mut repeated = Draft::new(&shop);
    repeated.place("first-order", &[(mug.id, 1)]).await;
    for _ in 0..3 {
        let refused = shop.store.lane_commit(&repeated.batch).await;
        assert!(matches!(refused, Err(StoreError::Duplicate(_))), "{refused:?}");
    }
    assert_eq!(connections_of_batches(&shop).await, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_connection_that_the_server_has_ended_is_replaced() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    assert_eq!(end_connections_of_batches(&shop).await, [true]);
    // It may be found out by sending a batch, which has to be sent again then.
    let again = match shop.store.lane_commit(&draft.batch).await {
        Err(StoreError::OutcomeUnknown(_)) => shop.store.lane_commit(&draft.batch).await,
        answer => answer,
    };
    assert_eq!(again.expect("answers"), Committed::Already);
    shop.close().await;
}

#[tokio::test]
async fn a_closed_store_has_no_connection_left_for_batches() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");

    timeout(LIMIT, shop.store.close()).await.expect("it closes");
    until_no_connection_of_batches_is_left(&shop).await;
    let error = shop.store.lane_commit(&draft.batch).await.expect_err("is closed");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn closing_waits_for_a_batch_and_for_no_longer() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;

    // The batch locks the stock's row, which somebody else has.
    let mut other = shop.database.connection().await;
    let mut transaction = sqlx::Connection::begin(&mut other).await.expect("begins");
    sqlx::query("SELECT FROM stock WHERE product_id = $1 FOR UPDATE")
        .bind(mug.id.0)
        .execute(&mut *transaction)
        .await
        .expect("locks");
    let (store, batch) = (shop.store.clone(), draft.batch.clone());
    let mut committing = tokio::spawn(async move { store.lane_commit(&batch).await });
    shop.until_somebody_waits().await;

    let closing = shop.store.close();
    pin!(closing);
    let committed = async {
        transaction.rollback().await.expect("gives the row back");
        (&mut committing).await.expect("ends")
    };
    let committed = timeout(LIMIT, async {
        select! {
            biased;
            committed = committed => committed,
            () = &mut closing => panic!("it did not wait"),
        }
    });
    assert_eq!(
        committed.await.expect("it ends").expect("commits"),
        Committed::Now
    );
    timeout(LIMIT, closing).await.expect("it closes");
    until_no_connection_of_batches_is_left(&shop).await;
}

#[test]
fn a_store_may_outlive_the_runtime_that_it_was_used_on() {
    let runtime = Runtime::new().expect("a runtime");
    let (shop, store) = runtime.block_on(async {
        let shop = Shop::open().await;
        let mug = shop.product("MUG", 5).await;
        let mut draft = Draft::new(&shop);
        draft.place("first-order", &[(mug.id, 1)]).await;
        let store = Store::connect(shop.database.url(), StoreOptions::default())
            .await
            .expect("connects");
        store.lane_commit(&draft.batch).await.expect("commits");
        (shop, store)
    });
    let other = Runtime::new().expect("a runtime");
    drop(runtime);
    drop(store);
    other.block_on(until_no_connection_of_batches_is_left(&shop));
    other.block_on(async { drop(shop) });
}
