//! A shop that is made up holds what every shop holds.

use holdfast_store::seed::{SeedSize, Seeding};
use holdfast_store::testing::TestDatabase;

#[tokio::test]
async fn a_seeded_shop_is_sound_and_is_seeded_once() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    assert!(store.is_unused().await.expect("answers"));
    // Neither divides the other: some products have sold one more than others.
    let size = SeedSize {
        products: 300,
        customers: 7,
        orders: 1_000,
    };
    let mut seeding = Seeding::begin(database.url(), size).await.expect("begins");
    for first in [0, 400, 800] {
        seeding.orders(first, first + 400).await.expect("makes orders");
    }
    seeding.finish().await.expect("ends");

    for finding in store.audit().await.expect("audits") {
        assert_eq!(finding.breaches, 0, "{finding:?}");
        if finding.invariant == "statuses" {
            assert_eq!(finding.figure, "1000 placed orders");
        }
    }
    assert!(!store.is_unused().await.expect("answers"));
    assert!(Seeding::begin(database.url(), size).await.is_err());
    store.close().await;
}
