//! Which node a shard belongs on: rendezvous hashing over the nodes that carry its service.
//!
//! Every node computes the same answer from the same map. A node's name counts, not its incarnation,
//! so that a restarted node gets back what it had; the service does not count, so that an order's
//! shard and its products' shard are on one node wherever both services are.

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Lease, NodeRow, NodeState, Service};

use crate::map::ShardMap;

/// A shard that its owner should hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandOver {
    pub(crate) lease: Lease,
    pub(crate) to: NodeId,
}

/// Lists the shards without a living owner that belong on `me`.
pub(crate) fn to_claim(map: &ShardMap, me: NodeId) -> Vec<(Service, ShardId)> {
    map.shards()
        .filter(|(service, shard, _)| map.reachable_owner(*service, *shard).is_none())
        .filter(|(service, shard, _)| home(map, *service, *shard) == Some(me))
        .map(|(service, shard, _)| (service, shard))
        .collect()
}

/// Lists the shards that `me` owns and that belong on another node.
pub(crate) fn to_hand_over(map: &ShardMap, me: NodeId) -> Vec<HandOver> {
    map.shards()
        .filter(|(_, _, ownership)| ownership.owner == Some(me))
        .filter_map(|(service, shard, ownership)| {
            let to = home(map, service, shard).filter(|to| *to != me)?;
            Some(HandOver {
                lease: Lease {
                    node_id: me,
                    service,
                    shard,
                    epoch: ownership.epoch,
                },
                to,
            })
        })
        .collect()
}

/// Returns the node that a shard belongs on; `None` while no active node carries its service.
fn home(map: &ShardMap, service: Service, shard: ShardId) -> Option<NodeId> {
    map.candidates(service)
        .max_by_key(|node| (weight(node, shard), node.node_id))
        .map(|node| node.node_id)
}

fn weight(node: &NodeRow, shard: ShardId) -> u64 {
    debug_assert_eq!(node.state, NodeState::Active);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a over the name and the shard ...
    for byte in node.name.bytes().chain([0, shard.0]) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // ... with splitmix64's finaliser, since FNV alone spreads short inputs badly.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::membership::testing::{map, node};

    #[test]
    fn unowned_shards_are_claimed_by_exactly_one_active_node() {
        let nodes: Vec<_> = (1..=3).map(|n| node(n, NodeState::Active)).collect();
        let map = map(nodes.clone(), None);
        let mut claims = HashMap::new();
        for node in &nodes {
            let claimed = to_claim(&map, node.node_id);
            assert!(
                claimed.len() > 768 / 5,
                "{} got only {}",
                node.name,
                claimed.len()
            );
            for shard in claimed {
                assert_eq!(claims.insert(shard, node.node_id), None);
            }
        }
        assert_eq!(claims.len(), 768);
    }

    #[test]
    fn services_of_a_shard_share_a_node() {
        let nodes: Vec<_> = (1..=3).map(|n| node(n, NodeState::Active)).collect();
        let map = map(nodes, None);
        for shard in ShardId::all() {
            let home_of = |service| home(&map, service, shard);
            assert_eq!(home_of(Service::Orders), home_of(Service::Products));
        }
    }

    #[test]
    fn a_death_moves_only_the_dead_nodes_shards() {
        let before = map((1..=3).map(|n| node(n, NodeState::Active)).collect(), None);
        let mut nodes: Vec<_> = (1..=3).map(|n| node(n, NodeState::Active)).collect();
        nodes[2].state = NodeState::Dead;
        let dead = nodes[2].node_id;
        let after = map(nodes, None);
        for shard in ShardId::all() {
            let (was, is) = (
                home(&before, Service::Orders, shard),
                home(&after, Service::Orders, shard),
            );
            assert!(was == is || was == Some(dead));
        }
    }

    #[test]
    fn an_owner_hands_over_what_belongs_on_a_joiner() {
        let nodes: Vec<_> = (1..=2).map(|n| node(n, NodeState::Active)).collect();
        let map = map(nodes.clone(), Some(nodes[0].node_id));
        let moves = to_hand_over(&map, nodes[0].node_id);
        assert!(!moves.is_empty() && moves.len() < 768);
        assert!(moves.iter().all(|hand_over| hand_over.to == nodes[1].node_id));
        assert!(
            to_claim(&map, nodes[1].node_id).is_empty(),
            "living owners are not robbed"
        );
    }
}
