//! Who owns which shard: one version of the cluster map, as a node read it from Postgres.

use std::collections::HashMap;

use holdfast_domain::{NodeId, ShardId, id::SHARD_COUNT};
use holdfast_store::{ClusterMap, NodeRow, NodeState, Service, ShardRow};

/// One version of the cluster map. Only ever replaced whole, by a newer one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardMap {
    version: i64,
    nodes: HashMap<NodeId, NodeRow>,
    owners: Vec<Ownership>,
}

/// Who owns a shard, and for the how-manieth time it changed hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) owner: Option<NodeId>,
    pub(crate) epoch: i64,
}

impl From<ClusterMap> for ShardMap {
    fn from(map: ClusterMap) -> Self {
        let mut owners = vec![Ownership::default(); Service::ALL.len() * usize::from(SHARD_COUNT)];
        for ShardRow {
            service,
            shard,
            owner,
            epoch,
        } in map.shards
        {
            owners[index(service, shard)] = Ownership { owner, epoch };
        }
        let nodes = map.nodes.into_iter().map(|node| (node.node_id, node)).collect();
        Self {
            version: map.version,
            nodes,
            owners,
        }
    }
}

impl ShardMap {
    /// Counts changes of nodes' states and shards' owners; 0 before the first read.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// Returns who owns a shard.
    pub(crate) fn ownership(&self, service: Service, shard: ShardId) -> Ownership {
        self.owners
            .get(index(service, shard))
            .copied()
            .unwrap_or_default()
    }

    /// Returns a shard's owner, if it has one that can be asked.
    pub(crate) fn reachable_owner(&self, service: Service, shard: ShardId) -> Option<NodeId> {
        self.ownership(service, shard)
            .owner
            .filter(|owner| self.nodes.get(owner).is_some_and(is_member))
    }

    /// Returns one node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&NodeRow> {
        self.nodes.get(&id)
    }

    /// Returns where an incarnation stands; `None` before the first read.
    pub(crate) fn standing_of(&self, id: NodeId) -> Option<NodeState> {
        // A row that is gone was over before.
        let standing = || self.node(id).map_or(NodeState::Dead, |node| node.state);
        (self.version > 0).then(standing)
    }

    /// Lists the nodes that have not left or been declared dead.
    pub(crate) fn members(&self) -> impl Iterator<Item = &NodeRow> {
        self.nodes.values().filter(|node| is_member(node))
    }

    /// Lists the nodes to which a service's shards may go.
    pub(crate) fn candidates(&self, service: Service) -> impl Iterator<Item = &NodeRow> {
        self.nodes.values().filter(move |node| {
            node.state == NodeState::Active && node.roles.iter().any(|role| role == service.as_str())
        })
    }

    /// Counts the nodes that answer clients; at least 1.
    pub(crate) fn edges(&self) -> u32 {
        let is_edge = |node: &&NodeRow| node.roles.iter().any(|role| role == "edge");
        let count = self.members().filter(is_edge).count();
        u32::try_from(count).unwrap_or(u32::MAX).max(1)
    }

    /// Lists every shard with its owner.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (Service, ShardId, Ownership)> {
        Service::ALL.into_iter().flat_map(move |service| {
            ShardId::all().map(move |shard| (service, shard, self.ownership(service, shard)))
        })
    }

    /// Tells whether every shard is served by somebody, of all services that have a node to serve them.
    ///
    /// A service without any node is no reason to turn requests for the others away.
    pub(crate) fn every_shard_has_an_owner(&self) -> bool {
        let is_served = |service| {
            self.candidates(service).next().is_none()
                || ShardId::all().all(|shard| self.reachable_owner(service, shard).is_some())
        };
        !self.owners.is_empty() && Service::ALL.into_iter().all(is_served)
    }
}

fn is_member(node: &NodeRow) -> bool {
    matches!(
        node.state,
        NodeState::Joining | NodeState::Active | NodeState::Draining
    )
}

/// Returns where a service stands among all.
fn service_index(service: Service) -> usize {
    match service {
        Service::Sessions => 0,
        Service::Products => 1,
        Service::Orders => 2,
    }
}

/// Returns where a shard stands in a table of all.
pub(crate) fn index(service: Service, shard: ShardId) -> usize {
    service_index(service) * usize::from(SHARD_COUNT) + usize::from(shard.0)
}
