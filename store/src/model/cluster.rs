//! Membership, and shards that change hands.

use std::time::Duration;

use holdfast_domain::{NodeId, ShardId, Timestamp};

use super::{Model, constraint, fenced, rejected, tables::Ownership};
use crate::{
    Beat, ClusterMap, Lease, NewNode, NodeRow, NodeState, PeerBeat, Service, ShardRow, StoreError, Vote,
};

impl Model {
    /// Announces an incarnation; see [`Store::node_join`](crate::Store::node_join).
    pub fn node_join(&mut self, node: &NewNode) -> Result<(), StoreError> {
        constraint::node(node)?;
        let forgotten: Vec<_> = self
            .tables
            .nodes
            .values()
            .filter(|older| older.name == node.name && !self.owns_any(older.node_id))
            .map(|older| older.node_id)
            .collect();
        if self.tables.nodes.contains_key(&node.node_id) && !forgotten.contains(&node.node_id) {
            return Err(rejected(format!("node {} exists", node.node_id)));
        }
        self.tables.map_version += 1;
        for older in self.tables.nodes.values_mut() {
            if older.name == node.name && !older.state.is_over() {
                older.state = NodeState::Dead;
            }
        }
        self.tables.nodes.retain(|id, _| !forgotten.contains(id));
        self.tables.lanes.retain(|(id, _), _| !forgotten.contains(id));
        let row = NodeRow {
            node_id: node.node_id,
            name: node.name.clone(),
            state: NodeState::Joining,
            roles: node.roles.clone(),
            api_addr: node.api_addr.clone(),
            link_addr: node.link_addr.clone(),
            proto: node.proto,
            lock_key: node.lock_key,
            started_at: node.started_at,
            seq: 0,
        };
        self.tables.nodes.insert(node.node_id, row);
        Ok(())
    }

    fn owns_any(&self, node_id: NodeId) -> bool {
        let mut shards = self.tables.shards.values();
        shards.any(|shard| shard.owner == Some(node_id))
    }

    /// Lets a `joining` incarnation serve; see [`Store::node_activate`](crate::Store::node_activate).
    pub fn node_activate(&mut self, node_id: NodeId) -> Result<(), StoreError> {
        self.node_move(node_id, &[NodeState::Joining], NodeState::Active)
    }

    /// Tells an incarnation to take on nothing more; see [`Store::node_drain`](crate::Store::node_drain).
    pub fn node_drain(&mut self, node_id: NodeId) -> Result<(), StoreError> {
        let from = [NodeState::Joining, NodeState::Active];
        self.node_move(node_id, &from, NodeState::Draining)
    }

    /// Ends an incarnation by its own will; see [`Store::node_leave`](crate::Store::node_leave).
    pub fn node_leave(&mut self, node_id: NodeId) -> Result<(), StoreError> {
        let living = [NodeState::Joining, NodeState::Active, NodeState::Draining];
        self.node_move(node_id, &living, NodeState::Left)
    }

    fn node_move(&mut self, node_id: NodeId, from: &[NodeState], to: NodeState) -> Result<(), StoreError> {
        match self.tables.nodes.get_mut(&node_id) {
            Some(node) if from.contains(&node.state) => {
                node.state = to;
                self.tables.map_version += 1;
                Ok(())
            }
            Some(node) if node.state == to => Ok(()),
            _ => Err(fenced(format!("node {node_id} cannot become {to}"))),
        }
    }

    /// Declares an incarnation dead if its heartbeat stands where it was seen; see
    /// [`Store::node_declare_dead`](crate::Store::node_declare_dead).
    pub fn node_declare_dead(&mut self, victim: NodeId, observed_seq: i64) -> bool {
        match self.tables.nodes.get_mut(&victim) {
            Some(node) if node.seq == observed_seq && !node.state.is_over() => {
                node.state = NodeState::Dead;
                self.tables.map_version += 1;
                true
            }
            _ => false,
        }
    }

    /// Says that one incarnation cannot reach another; see [`Store::node_suspect`](crate::Store::node_suspect).
    /// `now` is the Postgres clock.
    pub fn node_suspect(
        &mut self,
        observer: NodeId,
        suspect: NodeId,
        window: Duration,
        now: Timestamp,
    ) -> Result<Vote, StoreError> {
        let serves = |node: &NodeRow| node.state.serves();
        let tables = &mut self.tables;
        let is_serving = |id: NodeId| tables.nodes.get(&id).is_some_and(serves);
        if !is_serving(observer) {
            return Err(fenced(format!("node {observer} is superseded")));
        }
        let needed = tables.nodes.values().filter(|node| serves(node)).count() / 2 + 1;
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        if !is_serving(suspect) {
            return Ok(Vote {
                votes: 0,
                needed,
                is_dead: true,
            });
        }
        if suspect == observer {
            return Err(rejected(format!("node {observer} suspects itself")));
        }
        tables.votes.insert((suspect, observer), now);
        let is_fresh = |at: Timestamp| at.plus(window) > now;
        let votes = tables.votes.iter().filter(|((of, by), at)| {
            *of == suspect && is_fresh(**at) && tables.nodes.get(by).is_some_and(serves)
        });
        let votes = i64::try_from(votes.count()).unwrap_or(i64::MAX);
        let is_dead = votes >= needed;
        if is_dead && let Some(node) = tables.nodes.get_mut(&suspect) {
            node.state = NodeState::Dead;
            tables.map_version += 1;
        }
        Ok(Vote {
            votes,
            needed,
            is_dead,
        })
    }

    /// Renews an incarnation's heartbeat; `now` is the Postgres clock. See
    /// [`HeartbeatConnection::beat`](crate::HeartbeatConnection::beat).
    pub fn beat(&mut self, node_id: NodeId, now: Timestamp) -> Result<Beat, StoreError> {
        let Some(node) = self.tables.nodes.get_mut(&node_id) else {
            return Err(fenced(format!("node {node_id} has been forgotten")));
        };
        node.seq += 1;
        Ok(Beat {
            seq: node.seq,
            map_version: self.tables.map_version,
            state: node.state,
            now,
        })
    }

    /// Reads the heartbeats of all incarnations that are not over, by id; see
    /// [`HeartbeatConnection::peers`](crate::HeartbeatConnection::peers).
    pub fn peers(&self) -> Vec<PeerBeat> {
        let living = self.tables.nodes.values().filter(|node| !node.state.is_over());
        living
            .map(|node| PeerBeat {
                node_id: node.node_id,
                seq: node.seq,
            })
            .collect()
    }

    /// Takes those of the wanted shards that nobody living owns; see
    /// [`Store::shards_claim`](crate::Store::shards_claim).
    pub fn shards_claim(
        &mut self,
        node_id: NodeId,
        wanted: &[(Service, ShardId)],
    ) -> Result<Vec<Lease>, StoreError> {
        if self.state_of(node_id) != Some(NodeState::Active) {
            return Err(fenced(format!("node {node_id} is not active")));
        }
        let mut claimed = Vec::new();
        for &(service, shard) in wanted {
            let owner = self.tables.shards[&(service, shard)].owner;
            let owner_state = owner.and_then(|owner| self.state_of(owner));
            if owner.is_none() || owner_state.is_some_and(NodeState::is_over) {
                claimed.push(self.shard_move(service, shard, node_id));
            }
        }
        self.count_change(&claimed);
        Ok(claimed)
    }

    /// Gives shards to another node, by their owner's own hand; see
    /// [`Store::shards_hand_over`](crate::Store::shards_hand_over).
    pub fn shards_hand_over(&mut self, leases: &[Lease], to: NodeId) -> Result<Vec<Lease>, StoreError> {
        let Some(giver) = leases.first().map(|lease| lease.node_id) else {
            return Ok(Vec::new());
        };
        if !self.state_of(giver).is_some_and(NodeState::serves) {
            return Err(fenced(format!("node {giver} is superseded")));
        }
        if to == giver || self.state_of(to) != Some(NodeState::Active) {
            return Ok(Vec::new());
        }
        let mut moved = Vec::new();
        for lease in leases {
            let shard = self.tables.shards[&(lease.service, lease.shard)];
            if (shard.owner, shard.epoch) == (Some(giver), lease.epoch) {
                moved.push(self.shard_move(lease.service, lease.shard, to));
            }
        }
        self.count_change(&moved);
        Ok(moved)
    }

    fn state_of(&self, node_id: NodeId) -> Option<NodeState> {
        self.tables.nodes.get(&node_id).map(|node| node.state)
    }

    fn shard_move(&mut self, service: Service, shard: ShardId, to: NodeId) -> Lease {
        let row = self.tables.shards.get_mut(&(service, shard));
        let row = row.expect("every shard of every service has its row");
        *row = Ownership {
            owner: Some(to),
            epoch: row.epoch + 1,
        };
        Lease {
            node_id: to,
            service,
            shard,
            epoch: row.epoch,
        }
    }

    fn count_change(&mut self, moved: &[Lease]) {
        if !moved.is_empty() {
            self.tables.map_version += 1;
        }
    }

    /// Returns the map's version, which counts its changes.
    pub fn map_version(&self) -> i64 {
        self.tables.map_version
    }

    /// Reads the map; see [`Store::map_load`](crate::Store::map_load).
    pub fn map_load(&self) -> ClusterMap {
        let mut shards: Vec<_> = self
            .tables
            .shards
            .iter()
            .map(|(&(service, shard), row)| ShardRow {
                service,
                shard,
                owner: row.owner,
                epoch: row.epoch,
            })
            .collect();
        shards.sort_by_key(|row| (row.service.as_str(), row.shard));
        ClusterMap {
            version: self.tables.map_version,
            nodes: self.nodes(),
            shards,
        }
    }

    /// Lists the incarnations, by name; see [`Store::nodes`](crate::Store::nodes).
    pub fn nodes(&self) -> Vec<NodeRow> {
        let mut nodes: Vec<_> = self.tables.nodes.values().cloned().collect();
        nodes.sort_by(|a, b| {
            let key = |node: &NodeRow| (node.started_at, node.node_id);
            a.name.cmp(&b.name).then_with(|| key(a).cmp(&key(b)))
        });
        nodes
    }
}
