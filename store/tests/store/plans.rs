//! How statements are planned: what is found by key, without looking at the values.

use holdfast_domain::{Email, OperationKey, OrderId, PaymentId, PaymentProvider, SessionId};
use holdfast_store::{Store, StoreOptions, testing::statements_by_key};
use sqlx::Executor;
use uuid::Uuid;

use crate::shop::{Shop, new_product};

/// Runs everything that finds rows by key.
async fn find_all(store: &Store, shop: &Shop) {
    let new = new_product(&shop.seller, "MUG-1", "Mug", 5);
    let key = OperationKey::made(Uuid::nil());
    let (customer, order) = (shop.seller.id, OrderId(Uuid::nil()));
    let email = Email::parse("nobody@example.com").expect("an address");
    store.product(new.product.id).await.expect("reads");
    store.credentials(customer).await.expect("reads");
    store.user_by_email(&email).await.expect("reads");
    store.session(SessionId(Uuid::nil())).await.expect("reads");
    store.operation(customer.0, "POST /", &key).await.expect("reads");
    store.order_record(order).await.expect("reads");
    store.order_by_key(customer, &key).await.expect("reads");
    store.placed_snapshot(order).await.expect("reads");
    store.reservations_of(order).await.expect("reads");
    let provider = PaymentProvider::Manual;
    store.payment_is_known(order, provider, "1").await.expect("reads");
    let payment = PaymentId(Uuid::nil());
    store.payment_name(order, payment).await.expect("reads");
}

#[tokio::test]
async fn what_is_found_by_key_is_planned_once_and_by_an_index_even_in_an_empty_shop() {
    let shop = Shop::open().await;
    // Tables that Postgres knows to be empty tempt it to read them whole.
    let mut connection = shop.database.connection().await;
    connection.execute("ANALYZE").await.expect("analyses");
    // Of four, one is for what is found by key.
    let options = StoreOptions {
        max_connections: 4,
        ..StoreOptions::default()
    };
    let store = Store::connect(shop.database.url(), options)
        .await
        .expect("connects");
    for _ in 0..3 {
        find_all(&store, &shop).await;
    }
    let statements = statements_by_key(&store).await.expect("tells");
    assert_eq!(statements.len(), 11);
    for statement in statements {
        assert_eq!(
            (statement.by_kept_plan, statement.by_own_plan),
            (3, 0),
            "{statement:?}"
        );
        let (plan, scans) = (&statement.plan, ["Index Scan", "Index Only Scan"]);
        let scans: usize = scans.iter().map(|scan| plan.matches(scan).count()).sum();
        assert!(scans > 0 && !plan.contains("Seq Scan"), "{statement:?}");
        assert_eq!(plan.matches("Index Cond").count(), scans, "{statement:?}");
    }
    store.close().await;
    shop.close().await;
}
