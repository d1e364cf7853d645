//! The schema: brought up to date by whoever comes first, and kept by whoever is older.

use std::time::Duration;

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
