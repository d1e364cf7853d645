//! The fence: nothing is written by a node that is superseded, or where it does not own.

use std::time::Duration;

use holdfast_domain::{NodeId, Product, account::LoginAttempts, session::TokenHash};
use holdfast_store::{
    Lease, OrderSave, PasswordChange, Service, StoreError, application_name, testing::TestDatabase,
};
use sqlx::{Connection, PgConnection};

use crate::{
    draft::Draft,
    shop::{NOW, Shop, account, join, new_product, session_of},
};

async fn refuses(shop: &Shop, draft: &Draft<'_>) {
    let error = shop.store.lane_commit(&draft.batch).await.expect_err("is fenced");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    assert!(error.is_certainly_aborted());
    assert_eq!(shop.count("orders").await, 0);
    assert_eq!(shop.count("lane").await, 0);
}

#[tokio::test]
async fn a_batch_under_an_old_epoch_writes_nothing() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    let other = join(&shop.store, "n2").await;
    let lease = *shop.lease(Service::Products, mug.id.shard());
    let moved = shop.store.shards_hand_over(&[lease], other).await.expect("moves");
    refuses(&shop, &draft).await;

    // Even when the shard has come back meanwhile: that is another epoch.
    shop.store
        .shards_hand_over(&moved, shop.node)
        .await
        .expect("moves back");
    refuses(&shop, &draft).await;
    shop.close().await;
}

#[tokio::test]
async fn a_batch_of_a_node_declared_dead_is_refused() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    refuses(&shop, &draft).await;
    shop.close().await;
}

#[tokio::test]
async fn a_draining_node_may_finish_its_work() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    shop.store.node_drain(shop.node).await.expect("drains");
    let mut draft = Draft::new(&shop);
    draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    shop.close().await;
}

#[tokio::test]
async fn a_batch_that_writes_where_it_names_no_lease_is_refused() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    for service in [Service::Products, Service::Orders] {
        let mut draft = Draft::new(&shop);
        draft.place("first-order", &[(mug.id, 1)]).await;
        let shard = mug.id.shard();
        draft
            .batch
            .leases
            .retain(|lease| (lease.service, lease.shard) != (service, shard));
        refuses(&shop, &draft).await;
    }
    shop.close().await;
}

/// Begins a transaction that has passed the fence and not ended, as a commit in flight.
async fn in_flight<'a>(
    connection: &'a mut PgConnection,
    lease: &Lease,
) -> sqlx::Transaction<'a, sqlx::Postgres> {
    let mut commit = connection.begin().await.expect("begins");
    fence(&mut commit, lease).await.expect("passes the fence");
    commit
}

async fn fence(connection: &mut PgConnection, lease: &Lease) -> sqlx::Result<()> {
    sqlx::query("SELECT fence($1, ARRAY[$2], ARRAY[$3], ARRAY[$4])")
        .bind(lease.node_id.0)
        .bind(lease.service.as_str())
        .bind(i16::from(lease.shard.0))
        .bind(lease.epoch)
        .execute(connection)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn declaring_dead_waits_for_the_commit_in_flight() {
    let shop = Shop::open().await;
    let lease = shop.leases()[0];
    let mut connection = shop.database.connection().await;
    let commit = in_flight(&mut connection, &lease).await;
    let (store, victim) = (shop.store.clone(), shop.node);
    let declaring = tokio::spawn(async move { store.node_declare_dead(victim, 0).await });
    shop.until_somebody_waits().await;
    assert!(!declaring.is_finished());
    commit.commit().await.expect("the commit in flight succeeds");
    assert!(declaring.await.expect("ends").expect("declares"));
    fence(&mut connection, &lease)
        .await
        .expect_err("every later one is refused");
    shop.close().await;
}

#[tokio::test]
async fn handing_over_waits_for_the_commit_in_flight_and_stops_the_next() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    let lease = shop.leases()[0];
    let mut connection = shop.database.connection().await;
    let commit = in_flight(&mut connection, &lease).await;
    let store = shop.store.clone();
    let giving = tokio::spawn(async move { store.shards_hand_over(&[lease], other).await });
    shop.until_somebody_waits().await;
    assert!(!giving.is_finished());
    commit.commit().await.expect("the commit in flight succeeds");
    let moved = giving.await.expect("ends").expect("moves");
    assert_eq!(
        moved,
        [Lease {
            node_id: other,
            epoch: lease.epoch + 1,
            ..lease
        }]
    );
    fence(&mut connection, &lease)
        .await
        .expect_err("the next one is refused");
    shop.close().await;
}

#[tokio::test]
async fn a_commit_that_waits_at_the_fence_sees_that_its_shard_has_gone() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    let lease = shop.leases()[0];
    let mut connection = shop.database.connection().await;
    let mut giving = connection.begin().await.expect("begins");
    sqlx::query("SELECT shards_hand_over($1, ARRAY[$2], ARRAY[$3], ARRAY[$4], $5)")
        .bind(lease.node_id.0)
        .bind(lease.service.as_str())
        .bind(i16::from(lease.shard.0))
        .bind(lease.epoch)
        .bind(other.0)
        .execute(&mut *giving)
        .await
        .expect("moves");
    let mut late = shop.database.connection().await;
    let waiting = tokio::spawn(async move { fence(&mut late, &lease).await });
    shop.until_somebody_waits().await;
    giving.commit().await.expect("commits");
    waiting.await.expect("ends").expect_err("the shard has gone");
    shop.close().await;
}

#[tokio::test]
async fn declaring_dead_ends_the_connections_of_the_victim() {
    let shop = Shop::open().await;
    let victim = join(&shop.store, "n2").await;
    let store = shop.database.store_named(&application_name(victim)).await;
    store.server_time().await.expect("answers");
    assert!(shop.store.node_declare_dead(victim, 0).await.expect("declares"));
    let mut connection = shop.database.connection().await;
    tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1")
                    .bind(application_name(victim))
                    .fetch_one(&mut connection)
                    .await
                    .expect("counts");
            if left == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the victim's connections end");
    shop.close().await;
}

#[tokio::test]
async fn declaring_dead_in_a_copy_of_a_database_leaves_the_connections_to_the_original() {
    let shop = Shop::open().await;
    let victim = join(&shop.store, "n2").await;
    // What a copy knows of the original's nodes is all that counts here: the name of a connection.
    let original = TestDatabase::create().await;
    let mut theirs = original.connection().await;
    sqlx::query("SELECT set_config('application_name', $1, false)")
        .bind(application_name(victim))
        .execute(&mut theirs)
        .await
        .expect("takes the name");
    assert!(shop.store.node_declare_dead(victim, 0).await.expect("declares"));
    sqlx::query("SELECT 1")
        .execute(&mut theirs)
        .await
        .expect("the connection is as it was");
    shop.close().await;
}

/// Tries every write but the lane's under `node`'s name; all must be fenced.
async fn no_write_is_taken(shop: &Shop, mug: &Product, node: NodeId) {
    let lease = |service, shard| Lease {
        node_id: node,
        ..*shop.lease(service, shard)
    };
    let newcomer = account("newcomer", holdfast_domain::Role::Customer);
    let theirs = lease(Service::Sessions, newcomer.user.id.shard());
    let ours = lease(Service::Sessions, shop.buyer.id.shard());
    let session = session_of(&shop.buyer);
    let change = PasswordChange {
        user_id: shop.buyer.id,
        expected_version: 1,
        password_hash: "$hash".to_owned(),
        keep_session: None,
        at: NOW,
    };
    let cup = new_product(&shop.seller, "CUP", "cup", 1);
    let mut draft = Draft::new(shop);
    let order = draft.place("first-order", &[(mug.id, 1)]).await;
    let orders = lease(Service::Orders, order.id.shard());
    let save = OrderSave {
        order: order.clone(),
        expected_version: 1,
        unsettled: false,
        events: Vec::new(),
    };
    let store = &shop.store;
    let products = lease(Service::Products, mug.id.shard());
    let answers = [
        store.user_register(&theirs, None, &newcomer).await.err(),
        store.user_update(&ours, None, &shop.buyer, NOW).await.err(),
        store.password_set(&ours, None, &change).await.err(),
        store
            .login_attempts_save(&ours, shop.buyer.id, LoginAttempts::none())
            .await
            .err(),
        store.session_create(&ours, &session).await.err(),
        store
            .session_save(&ours, &session, TokenHash([1; 32]))
            .await
            .err(),
        store
            .sessions_revoke_all(&ours, None, shop.buyer.id, None, NOW)
            .await
            .err(),
        store
            .product_create(&lease(Service::Products, cup.product.id.shard()), None, &cup)
            .await
            .err(),
        store.product_save(&products, None, mug, &[]).await.err(),
        store.order_save(&orders, None, &save).await.err(),
        store.order_settled(&orders, order.id, 1).await.err(),
        store.shards_claim(node, &[]).await.err(),
        store.shards_hand_over(&[products], shop.node).await.err(),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        assert!(
            matches!(answer, Some(StoreError::Fenced { .. })),
            "write {n}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn no_write_of_a_superseded_node_is_taken() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    no_write_is_taken(&shop, &mug, shop.node).await;
    no_write_is_taken(&shop, &mug, NodeId::mint(NOW, [5; 10])).await;
    shop.close().await;
}

#[tokio::test]
async fn a_node_that_serves_writes_nothing_in_the_shards_of_another() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    let lease = Lease {
        node_id: other,
        ..*shop.account_lease(shop.buyer.id)
    };
    let attempts = LoginAttempts::none().fail(NOW);
    let answer = shop
        .store
        .login_attempts_save(&lease, shop.buyer.id, attempts)
        .await;
    let error = answer.expect_err("is fenced");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn no_write_under_another_epoch_is_taken() {
    let shop = Shop::open().await;
    let lease = *shop.account_lease(shop.buyer.id);
    for epoch in [lease.epoch - 1, lease.epoch + 1] {
        let attempts = LoginAttempts::none().fail(NOW);
        let error = shop
            .store
            .login_attempts_save(&Lease { epoch, ..lease }, shop.buyer.id, attempts)
            .await
            .expect_err("is fenced");
        assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    }
    assert_eq!(shop.count("login_attempt").await, 0);
    shop.close().await;
}
