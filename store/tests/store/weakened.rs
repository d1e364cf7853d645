//! Databases without a guard: what the guard would have refused is written, and the audit sees it.

use holdfast_domain::OrderId;
use holdfast_store::{Committed, OrderExpected, StoreError, model::Guards, testing::weaken};

use crate::{
    draft::Draft,
    shop::{Shop, later},
};

/// Opens a shop that lacks a guard.
async fn without(guards: Guards) -> Shop {
    let shop = Shop::open().await;
    weaken(shop.database.url(), guards).await.expect("weakens");
    shop
}

/// Commits what must be refused while all guards are there.
async fn is_taken(shop: &Shop, draft: &Draft<'_>) {
    let answer = shop.store.lane_commit(&draft.batch).await;
    assert!(matches!(answer, Ok(Committed::Now)), "{answer:?}");
}

/// Closes a shop in which the audit finds these invariants broken, and no others.
async fn closes_with(shop: Shop, broken: &[&str]) {
    let findings = shop.store.audit().await.expect("audits");
    let found: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.breaches > 0)
        .map(|finding| finding.invariant)
        .collect();
    assert_eq!(found, broken);
    shop.store.close().await;
}

#[tokio::test]
async fn without_the_fence_a_node_that_was_declared_dead_goes_on_writing() {
    let shop = without(Guards {
        fence: false,
        ..Guards::default()
    })
    .await;
    let mug = shop.product("MUG", 5).await;
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    is_taken(&shop, &draft).await;
    // Nobody has claimed its shards.
    closes_with(shop, &[]).await;
}

#[tokio::test]
async fn without_version_checks_one_version_of_a_stock_is_made_twice() {
    let shop = without(Guards {
        versions: false,
        ..Guards::default()
    })
    .await;
    let mug = shop.product("MUG", 5).await;
    let (mut first, mut second) = (Draft::new(&shop), Draft::new(&shop));
    first.adjust(mug.id, 3).await;
    second.adjust(mug.id, 3).await;
    is_taken(&shop, &first).await;
    is_taken(&shop, &second).await;
    closes_with(shop, &["counters", "ledger"]).await;
}

#[tokio::test]
async fn without_unique_keys_one_key_makes_two_orders() {
    let shop = without(Guards {
        unique_keys: false,
        ..Guards::default()
    })
    .await;
    let mug = shop.product("MUG", 5).await;
    for _ in 0..2 {
        let mut draft = Draft::new(&shop);
        draft.place("the-very-key", &[(mug.id, 1)]).await;
        is_taken(&shop, &draft).await;
    }
    closes_with(shop, &["keys"]).await;
}

#[tokio::test]
async fn without_the_compare_and_set_of_orders_one_is_placed_twice() {
    let shop = without(Guards {
        order_compare_and_set: false,
        ..Guards::default()
    })
    .await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    is_taken(&shop, &draft).await;
    draft.batch.batch_id = OrderId::mint(later(), [9; 10]).0;
    draft.batch.stock.clear();
    draft.batch.movements.clear();
    draft.batch.reservations.clear();
    draft.batch.orders[0].expected = OrderExpected::Placing;
    is_taken(&shop, &draft).await;
    closes_with(shop, &["transitions"]).await;
}

#[tokio::test]
async fn with_all_guards_nothing_is_taken_away() {
    let shop = without(Guards::default()).await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    is_taken(&shop, &draft).await;
    draft.batch.batch_id = OrderId::mint(later(), [9; 10]).0;
    let again = shop.store.lane_commit(&draft.batch).await;
    assert!(matches!(again, Err(StoreError::Duplicate(_))), "{again:?}");
    closes_with(shop, &[]).await;
}
