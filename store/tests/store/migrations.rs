//! The schema: brought up to date by whoever comes first, and kept by whoever is older.

use holdfast_store::testing::TestDatabase;

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

#[tokio::test]
async fn the_clock_is_that_of_postgres() {
    let shop = Shop::open().await;
    let one = shop.store.server_time().await.expect("reads");
    let other = shop.store.server_time().await.expect("reads");
    assert!(one < other);
    shop.close().await;
}
