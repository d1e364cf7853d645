//! Membership, heartbeats, and shards that change hands.

use std::{collections::BTreeSet, time::Duration};

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{HeartbeatConnection, Lease, NodeLock, NodeState, Service, StoreError, Vote};

use crate::shop::{Shop, all_shards, join, new_node};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn racing_claimers_get_each_shard_once() {
    let shop = Shop::open().await;
    let claimers = [
        join(&shop.store, "n2").await,
        join(&shop.store, "n3").await,
        join(&shop.store, "n4").await,
    ];
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    let claims = claimers.map(|claimer| {
        let store = shop.store.clone();
        tokio::spawn(async move { store.shards_claim(claimer, &all_shards()).await.expect("claims") })
    });
    let mut got = Vec::<Lease>::new();
    for claim in claims {
        got.extend(claim.await.expect("ends"));
    }
    assert_eq!(got.len(), 768);
    assert!(got.iter().all(|lease| lease.epoch == 2));
    let distinct: BTreeSet<_> = got.iter().map(|lease| (lease.service, lease.shard)).collect();
    assert_eq!(distinct.len(), 768);
    let map = shop.store.map_load().await.expect("loads");
    for lease in &got {
        let row = map
            .shards
            .iter()
            .find(|row| (row.service, row.shard) == (lease.service, lease.shard));
        let row = row.expect("the shard is in the map");
        assert_eq!((row.owner, row.epoch), (Some(lease.node_id), lease.epoch));
    }
    shop.close().await;
}

#[tokio::test]
async fn a_living_owners_shards_are_not_claimed() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    for _ in 0..2 {
        let got = shop
            .store
            .shards_claim(other, &all_shards())
            .await
            .expect("claims");
        assert_eq!(got, []);
        shop.store.node_drain(shop.node).await.expect("drains");
    }
    shop.store.node_leave(shop.node).await.expect("leaves");
    let got = shop
        .store
        .shards_claim(other, &all_shards())
        .await
        .expect("claims");
    assert_eq!(got.len(), 768);
    shop.close().await;
}

#[tokio::test]
async fn a_node_that_only_joins_claims_nothing() {
    let shop = Shop::open().await;
    let node = new_node("n2");
    shop.store.node_join(&node).await.expect("joins");
    let error = shop
        .store
        .shards_claim(node.node_id, &all_shards())
        .await
        .expect_err("is not active");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn handing_over_moves_what_is_held_and_nothing_else() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    let held = *shop.lease(Service::Orders, ShardId(1));
    let lost = Lease {
        epoch: 7,
        ..*shop.lease(Service::Orders, ShardId(2))
    };
    let before = shop.store.map_load().await.expect("loads");
    let moved = shop
        .store
        .shards_hand_over(&[held, lost], other)
        .await
        .expect("moves");
    assert_eq!(
        moved,
        [Lease {
            node_id: other,
            epoch: 2,
            ..held
        }]
    );
    let after = shop.store.map_load().await.expect("loads");
    assert_eq!(after.version, before.version + 1);
    let changed: Vec<_> = after
        .shards
        .iter()
        .filter(|row| !before.shards.contains(row))
        .collect();
    assert_eq!(changed.len(), 1);

    // Nothing moves to a node that does not serve, and then the map does not change.
    shop.store.node_leave(other).await.expect("leaves");
    let version = shop.store.map_load().await.expect("loads").version;
    let lease = *shop.lease(Service::Orders, ShardId(3));
    assert_eq!(
        shop.store
            .shards_hand_over(&[lease], other)
            .await
            .expect("answers"),
        []
    );
    assert_eq!(shop.store.map_load().await.expect("loads").version, version);
    shop.close().await;
}

#[tokio::test]
async fn a_node_that_beats_is_not_declared_dead() {
    let shop = Shop::open().await;
    let mut heart = HeartbeatConnection::connect(shop.database.url(), shop.node, LIMIT)
        .await
        .expect("connects");
    let observed = heart.beat().await.expect("beats").seq;
    assert_eq!(heart.beat().await.expect("beats").seq, observed + 1);
    assert!(
        !shop
            .store
            .node_declare_dead(shop.node, observed)
            .await
            .expect("answers")
    );
    let beat = heart.beat().await.expect("beats");
    assert_eq!(beat.state, NodeState::Active);

    let other = join(&shop.store, "n2").await;
    let peers: Vec<_> = heart
        .peers()
        .await
        .expect("reads")
        .iter()
        .map(|peer| peer.node_id)
        .collect();
    assert_eq!(peers, [shop.node, other]);
    assert!(shop.store.node_declare_dead(other, 0).await.expect("declares"));
    assert!(
        !shop.store.node_declare_dead(other, 0).await.expect("answers"),
        "once is enough"
    );
    assert_eq!(heart.peers().await.expect("reads").len(), 1);
    let version = shop.store.map_load().await.expect("loads").version;
    assert_eq!(heart.beat().await.expect("beats").map_version, version);
    shop.close().await;
}

#[tokio::test]
async fn a_node_that_was_declared_dead_learns_it_from_its_heartbeat() {
    let shop = Shop::open().await;
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    let mut heart = HeartbeatConnection::connect(shop.database.url(), shop.node, LIMIT)
        .await
        .expect("connects");
    assert_eq!(heart.beat().await.expect("beats").state, NodeState::Dead);
    let error = shop.store.node_activate(shop.node).await.expect_err("stays dead");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_restarted_node_supersedes_its_older_incarnations() {
    let shop = Shop::open().await;
    let second = join(&shop.store, "n1").await;
    let nodes = shop.store.nodes().await.expect("lists");
    let states: Vec<_> = nodes.iter().map(|node| (node.node_id, node.state)).collect();
    assert_eq!(
        states,
        [(shop.node, NodeState::Dead), (second, NodeState::Active)]
    );

    // Once it owns nothing any more, the next incarnation lets it be forgotten.
    shop.store
        .shards_claim(second, &all_shards())
        .await
        .expect("claims");
    let third = join(&shop.store, "n1").await;
    let nodes = shop.store.nodes().await.expect("lists");
    let ids: Vec<_> = nodes.iter().map(|node| node.node_id).collect();
    assert_eq!(ids, [second, third]);
    let mut heart = HeartbeatConnection::connect(shop.database.url(), shop.node, LIMIT)
        .await
        .expect("connects");
    let error = heart.beat().await.expect_err("is forgotten");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn announcing_a_state_twice_is_announcing_it_once() {
    let shop = Shop::open().await;
    shop.store.node_activate(shop.node).await.expect("is active");
    shop.store.node_drain(shop.node).await.expect("drains");
    let version = shop.store.map_load().await.expect("loads").version;
    shop.store.node_drain(shop.node).await.expect("drains");
    assert_eq!(shop.store.map_load().await.expect("loads").version, version);
    shop.store
        .node_activate(shop.node)
        .await
        .expect_err("a draining node does not come back");
    shop.close().await;
}

#[tokio::test]
async fn the_lock_of_a_process_is_free_once_it_is_gone() {
    let shop = Shop::open().await;
    let (process, key) = (NodeId(uuid::Uuid::from_u128(4_711)), 4_711);
    let mut lock = NodeLock::acquire(shop.database.url(), process, key, LIMIT)
        .await
        .expect("locks");
    lock.check().await.expect("holds");
    assert!(!shop.store.try_dead_lock(process, key).await.expect("tries"));
    NodeLock::acquire(shop.database.url(), process, key, LIMIT)
        .await
        .expect_err("another holds it");
    drop(lock);
    tokio::time::timeout(LIMIT, async {
        while !shop.store.try_dead_lock(process, key).await.expect("tries") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the lock becomes free");
    shop.close().await;
}

#[tokio::test]
async fn a_node_is_told_by_its_name_to_drain_as_often_as_one_likes() {
    let shop = Shop::open().await;
    let other = join(&shop.store, "n2").await;
    let before = shop.store.map_load().await.expect("loads").version;
    for _ in 0..2 {
        assert!(shop.store.node_drain_named("n2").await.expect("drains"));
    }
    let map = shop.store.map_load().await.expect("loads");
    assert_eq!(map.version, before + 1);
    let drained = map.nodes.iter().find(|node| node.node_id == other);
    assert_eq!(drained.map(|node| node.state), Some(NodeState::Draining));
    assert!(!shop.store.node_drain_named("n9").await.expect("answers"));
    shop.store.node_leave(other).await.expect("leaves");
    assert!(
        !shop.store.node_drain_named("n2").await.expect("answers"),
        "it is over"
    );
    shop.close().await;
}

#[tokio::test]
async fn a_majority_that_cannot_reach_a_node_declares_it_dead() {
    let shop = Shop::open().await;
    let (second, third) = (join(&shop.store, "n2").await, join(&shop.store, "n3").await);
    let vote = async |observer, suspect| {
        let window = Duration::from_mins(1);
        let vote = shop.store.node_suspect(observer, suspect, window).await;
        let Vote {
            votes,
            needed,
            is_dead,
        } = vote.expect("votes");
        (votes, needed, is_dead)
    };
    // The node that is cut off sees everybody else gone, and each of them sees it gone.
    assert_eq!(vote(third, shop.node).await, (1, 2, false));
    assert_eq!(vote(third, second).await, (1, 2, false));
    assert_eq!(vote(second, third).await, (1, 2, false));
    assert_eq!(vote(second, third).await, (1, 2, false), "one node has one vote");
    assert_eq!(vote(shop.node, third).await, (2, 2, true));
    let refused = shop.store.node_suspect(third, second, LIMIT).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    // The two that are left cannot outvote each other, and the dead one's vote counts no more.
    assert_eq!(vote(second, shop.node).await, (1, 2, false));
    shop.close().await;
}

#[tokio::test]
async fn votes_expire() {
    let shop = Shop::open().await;
    let (second, third) = (join(&shop.store, "n2").await, join(&shop.store, "n3").await);
    let vote = async |observer, window| {
        shop.store
            .node_suspect(observer, third, window)
            .await
            .expect("votes")
    };
    vote(second, LIMIT).await;
    let late = vote(shop.node, Duration::ZERO).await;
    assert_eq!((late.votes, late.is_dead), (0, false));
    shop.close().await;
}
