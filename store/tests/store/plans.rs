//! How statements are planned: what is found by key, without looking at the values.

use holdfast_domain::{OperationKey, OrderId};
use holdfast_store::{Store, StoreOptions, testing::plans_by_key};
use uuid::Uuid;

use crate::shop::{Shop, new_product};

#[tokio::test]
async fn what_is_found_by_key_is_planned_once_and_not_for_every_value() {
    let shop = Shop::open().await;
    let new = new_product(&shop.seller, "MUG-1", "Mug", 5);
    shop.create(&new).await;
    let key = OperationKey::made(Uuid::nil());
    let (product, customer, order) = (new.product.id, shop.seller.id, OrderId(Uuid::nil()));
    // Of four, one is for what is found by key.
    let options = StoreOptions {
        max_connections: 4,
        ..StoreOptions::default()
    };
    let store = Store::connect(shop.database.url(), options)
        .await
        .expect("connects");
    for _ in 0..3 {
        store.product(product).await.expect("reads");
        store.credentials(customer).await.expect("reads");
        store.order_record(order).await.expect("reads");
        store.order_by_key(customer, &key).await.expect("reads");
        store.placed_snapshot(order).await.expect("reads");
        store.reservations_of(order).await.expect("reads");
    }
    let (kept, anew) = plans_by_key(&store).await.expect("tells");
    assert_eq!((kept, anew), (6 * 3, 0));
    store.close().await;
    shop.close().await;
}
