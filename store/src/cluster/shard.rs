//! Who owns which shard, and how it changes hands.

use holdfast_domain::{NodeId, ShardId};

use crate::{Lease, Service, Store, StoreError, decode};

/// A shard and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRow {
    /// The service.
    pub service: Service,
    /// The shard.
    pub shard: ShardId,
    /// Who owns it; `None`: nobody has yet.
    pub owner: Option<NodeId>,
    /// How often it has changed hands.
    pub epoch: i64,
}

/// A shard as a change of owners returns it.
struct MovedShard {
    service: String,
    shard_id: i16,
    epoch: i64,
}

impl MovedShard {
    fn lease_of(&self, node_id: NodeId) -> Result<Lease, StoreError> {
        Ok(Lease {
            node_id,
            service: decode::parsed("shard.service", &self.service)?,
            shard: shard_id(self.shard_id)?,
            epoch: self.epoch,
        })
    }
}

/// Columns of leases, as the fenced functions take them.
pub(crate) struct LeaseColumns {
    pub(crate) services: Vec<String>,
    pub(crate) shards: Vec<i16>,
    pub(crate) epochs: Vec<i64>,
}

impl LeaseColumns {
    pub(crate) fn of(leases: &[Lease]) -> Self {
        Self {
            services: leases.iter().map(|lease| lease.service.to_string()).collect(),
            shards: leases.iter().map(|lease| i16::from(lease.shard.0)).collect(),
            epochs: leases.iter().map(|lease| lease.epoch).collect(),
        }
    }
}

fn shard_id(column: i16) -> Result<ShardId, StoreError> {
    u8::try_from(column)
        .map(ShardId)
        .map_err(|_| StoreError::corrupt(format_args!("shard.shard_id is {column}")))
}

impl Store {
    /// Takes those of the wanted shards whose owner is dead, has left, or never was.
    ///
    /// Of racing claimers one gets a shard. Returns the leases that were got, which may be none.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the claimer is not active.
    pub async fn shards_claim(
        &self,
        node_id: NodeId,
        wanted: &[(Service, ShardId)],
    ) -> Result<Vec<Lease>, StoreError> {
        let services: Vec<String> = wanted.iter().map(|(service, _)| service.to_string()).collect();
        let shards: Vec<i16> = wanted.iter().map(|(_, shard)| i16::from(shard.0)).collect();
        let claimed = self
            .run(async |c| {
                sqlx::query_as!(
                    MovedShard,
                    r#"SELECT claimed_service AS "service!", claimed_shard AS "shard_id!",
                              claimed_epoch AS "epoch!"
                       FROM shards_claim($1, $2, $3)"#,
                    node_id.0,
                    &services,
                    &shards,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        claimed.iter().map(|shard| shard.lease_of(node_id)).collect()
    }

    /// Gives shards to another node, by their owner's own hand; waits for its commits in flight.
    ///
    /// All `leases` are of one node. Returns the new leases. What is missing there stayed: that lease
    /// had ended already. Nothing moves if `to` is not active.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the giver has been superseded.
    pub async fn shards_hand_over(&self, leases: &[Lease], to: NodeId) -> Result<Vec<Lease>, StoreError> {
        let Some(giver) = leases.first().map(|lease| lease.node_id) else {
            return Ok(Vec::new());
        };
        let columns = LeaseColumns::of(leases);
        let moved = self
            .run(async |c| {
                sqlx::query_as!(
                    MovedShard,
                    r#"SELECT moved_service AS "service!", moved_shard AS "shard_id!", moved_epoch AS "epoch!"
                       FROM shards_hand_over($1, $2, $3, $4, $5)"#,
                    giver.0,
                    &columns.services,
                    &columns.shards,
                    &columns.epochs,
                    to.0,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        moved.iter().map(|shard| shard.lease_of(to)).collect()
    }

    /// Lists every shard of every service, by service and number.
    pub(super) async fn shards(&self) -> Result<Vec<ShardRow>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!("SELECT service, shard_id, owner, epoch FROM shard ORDER BY service, shard_id")
                    .fetch_all(c)
                    .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(ShardRow {
                    service: decode::parsed("shard.service", &row.service)?,
                    shard: shard_id(row.shard_id)?,
                    owner: row.owner.map(NodeId),
                    epoch: row.epoch,
                })
            })
            .collect()
    }
}
