//! The fence: nothing is written by a node that is superseded, or where it does not own.

use std::collections::BTreeSet;

use holdfast_domain::{NodeId, ShardId};

use super::{Model, fenced};
use crate::{Service, StoreError};

/// A shard that a write believes to be its node's, and the epoch at which it does.
pub(super) type Claim = (Service, ShardId, i64);

impl Model {
    /// Stops a write of a node that is superseded or does not hold what it claims. Returns the node's
    /// name, under which events are recorded.
    ///
    /// Without the fence, notes what it would have said; a write that fails later must forget that.
    pub(super) fn fence(&self, node_id: NodeId, claims: &[Claim]) -> Result<Passed, StoreError> {
        let name = match self.tables.nodes.get(&node_id) {
            Some(node) => node.name.clone(),
            None => node_id.to_string(),
        };
        match self.breach_of_fence(node_id, claims) {
            Some(reason) if self.guards.fence => Err(fenced(reason)),
            superseded => Ok(Passed { name, superseded }),
        }
    }

    fn breach_of_fence(&self, node_id: NodeId, claims: &[Claim]) -> Option<String> {
        let node = self.tables.nodes.get(&node_id);
        if !node.is_some_and(|node| node.state.serves()) {
            return Some(format!("node {node_id} is superseded"));
        }
        let lost = claims.iter().find(|(service, shard, epoch)| {
            let shard = &self.tables.shards[&(*service, *shard)];
            (shard.owner, shard.epoch) != (Some(node_id), *epoch)
        });
        lost.map(|(service, shard, epoch)| {
            format!("node {node_id} does not hold {service}/{shard} at epoch {epoch}")
        })
    }
}

/// A write that the fence let through.
pub(super) struct Passed {
    /// The writing node's name.
    pub(super) name: String,
    /// Why the fence would have stopped it, had it been there.
    pub(super) superseded: Option<String>,
}

/// Refuses a write where it names no lease.
pub(super) fn expect_covered(
    service: Service,
    claims: &[Claim],
    written: impl IntoIterator<Item = ShardId>,
) -> Result<(), StoreError> {
    let of_service = claims.iter().filter(|(claimed, ..)| *claimed == service);
    let covered: BTreeSet<_> = of_service.map(|(_, shard, _)| *shard).collect();
    match written.into_iter().find(|shard| !covered.contains(shard)) {
        Some(shard) => Err(fenced(format!("no lease is named for {service}/{shard}"))),
        None => Ok(()),
    }
}
