//! Maps of small clusters, for tests of what is decided on them.

use holdfast_domain::{NodeId, ShardId, Timestamp};
use holdfast_store::{ClusterMap, NodeRow, NodeState, Service, ShardRow};

use crate::map::ShardMap;

/// Names the incarnation that tests number `n`.
pub(super) fn id(n: u8) -> NodeId {
    NodeId::mint(Timestamp::UNIX_EPOCH, [n; 10])
}

/// Makes a node that carries every service.
pub(super) fn node(n: u8, state: NodeState) -> NodeRow {
    NodeRow {
        node_id: id(n),
        name: format!("n{n}"),
        state,
        roles: Service::ALL
            .iter()
            .map(|service| service.as_str().to_owned())
            .collect(),
        api_addr: String::new(),
        link_addr: String::new(),
        proto: 1,
        lock_key: i64::from(n),
        started_at: Timestamp::UNIX_EPOCH,
        seq: 0,
    }
}

/// Makes a map in which one owner, or nobody, has every shard at epoch 1.
pub(super) fn map(nodes: Vec<NodeRow>, owner: Option<NodeId>) -> ShardMap {
    map_at(1, nodes, |_, _| (owner, 1))
}

/// Makes a map of some version, in which `owned` tells who has each shard at which epoch.
pub(super) fn map_at(
    version: i64,
    nodes: Vec<NodeRow>,
    owned: impl Fn(Service, ShardId) -> (Option<NodeId>, i64),
) -> ShardMap {
    let row = |service, shard| {
        let (owner, epoch) = owned(service, shard);
        ShardRow {
            service,
            shard,
            owner,
            epoch,
        }
    };
    let shards = Service::ALL
        .into_iter()
        .flat_map(|service| ShardId::all().map(move |shard| (service, shard)))
        .map(|(service, shard)| row(service, shard))
        .collect();
    ShardMap::from(ClusterMap {
        version,
        nodes,
        shards,
    })
}
