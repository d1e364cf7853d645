//! Waiting for what the owners of shards have told.

use std::time::Duration;

use holdfast_store::{Service, testing::until_told_by_owners};
use tokio::time::timeout;

use crate::{draft::Draft, shop::Shop};

#[tokio::test]
async fn what_owners_tell_is_waited_for_until_it_is_committed() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut shards = shop.store.map_load().await.expect("loads").shards;
    shards.retain(|shard| shard.service == Service::Orders);
    let told = |least| until_told_by_owners(shop.database.url(), &shards, least);
    let early = timeout(Duration::from_millis(100), told(1)).await;
    assert!(early.is_err(), "nothing was told of orders yet");
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    told(1).await.expect("asks");
    shop.close().await;
}
