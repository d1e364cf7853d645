//! The schema: brought up to date by whoever comes first, and kept by whoever is older.

use std::{collections::BTreeSet, time::Duration};

use holdfast_store::testing::TestDatabase;
use sqlx::Executor;

use crate::shop::Shop;

#[tokio::test]
async fn racing_nodes_bring_an_empty_database_up_to_date() {
    let database = TestDatabase::empty().await;
    let store = database.store().await;
    assert!(!store.is_ready().await.expect("answers"));
    let nodes = [(); 3].map(|()| {
        let store = store.clone();
        tokio::spawn(async move { store.migrate().await })
    });
    for node in nodes {
        node.await.expect("ends").expect("migrates");
    }
    assert!(store.is_ready().await.expect("answers"));
}

#[tokio::test]
async fn an_older_release_accepts_a_newer_schema() {
    let shop = Shop::open().await;
    shop.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a later release', true, '', 0)",
    )
    .await;
    shop.store.migrate().await.expect("leaves it alone");
    assert!(shop.store.is_ready().await.expect("answers"));
    shop.close().await;
}

#[tokio::test]
async fn a_migration_that_is_missing_is_noticed() {
    let shop = Shop::open().await;
    shop.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .await;
    assert!(!shop.store.is_ready().await.expect("answers"));
}

/// Whoever wants a table stands in line behind a migration that waits for it.
#[tokio::test]
async fn a_migration_that_waits_for_a_table_lets_others_have_it_meanwhile() {
    let shop = Shop::open().await;
    // The last one to touch `orders`; doing it again changes nothing.
    shop.execute("DELETE FROM _sqlx_migrations WHERE version = 22")
        .await;
    let mut dump = shop.database.connection().await;
    for statement in ["BEGIN", "LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE"] {
        dump.execute(statement).await.expect("holds the table");
    }
    let store = shop.store.clone();
    let migration = tokio::spawn(async move { store.migrate().await });
    let mut watcher = shop.database.connection().await;
    for waits in [true, false] {
        let sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted)";
        while sqlx::query_scalar::<_, bool>(sql)
            .fetch_one(&mut watcher)
            .await
            .expect("tells")
            != waits
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(!migration.is_finished(), "it has not given up");
    dump.execute("COMMIT").await.expect("lets go");
    migration.await.expect("ends").expect("migrates");
    assert!(shop.store.is_ready().await.expect("answers"));
}

#[tokio::test]
async fn the_clock_is_that_of_postgres() {
    let shop = Shop::open().await;
    let one = shop.store.server_time().await.expect("reads");
    let other = shop.store.server_time().await.expect("reads");
    assert!(one < other);
    shop.close().await;
}

/// Connections plan statements for the values at hand; what serves one request says that it needs no such plan.
#[tokio::test]
async fn functions_that_serve_one_request_are_planned_once() {
    let shop = Shop::open().await;
    let mut connection = shop.database.connection().await;
    let planned_each_time: BTreeSet<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
         WHERE lanname = 'plpgsql' AND pronamespace = 'public'::regnamespace
           AND NOT coalesce(proconfig @> '{plan_cache_mode=force_generic_plan,enable_seqscan=off}', false)",
    )
    .fetch_all(&mut connection)
    .await
    .expect("lists")
    .into_iter()
    .collect();
    let parts_of_others = [
        "fence",
        "lane_expect_covered",
        "lane_offenders",
        "operation_record",
        "product_query",
        "raise_stale",
        "user_expect_version",
    ];
    let now_and_then = [
        "access_changes_purge",
        "admin_bootstrap",
        "consumer_accept_all",
        "consumer_tasks_take",
        "dead_letters_drop",
        "dead_letters_retry",
        "event_feed_rebase",
        "inbox_purge",
        "login_attempts_purge",
        "node_declare_dead",
        "node_drain",
        "node_join",
        "node_move",
        "node_suspect",
        "operations_purge",
        "order_save",
        "sessions_purge",
        "shards_claim",
        "shards_hand_over",
        "signing_key_ensure",
        "stock_alerts_purge",
    ];
    let expected = parts_of_others.into_iter().chain(now_and_then).map(str::to_owned);
    assert_eq!(planned_each_time, expected.collect());
    shop.close().await;
}
