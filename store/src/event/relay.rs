//! Relaying: a shard's owner tells the shard's events to others, and remembers how far it has come.

use std::collections::HashSet;

use holdfast_domain::{JsonObject, NodeId, ShardId};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{EventPosition, EventRecord, EventRow};
use crate::{Lease, Service, Store, StoreError, cluster::LeaseColumns, decode};

/// How far a shard's events have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayPosition {
    /// The shard, as its owner holds it.
    pub lease: Lease,
    /// The place behind the last event that was told, or passed over.
    pub position: EventPosition,
}

/// An event that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayEvent {
    /// The index of its shard among those that were asked about.
    pub shard: usize,
    /// The event.
    pub record: EventRecord,
    /// The place behind it.
    pub position: EventPosition,
}

/// Whether there may be something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayNews {
    /// The place up to which the feed can be read.
    pub horizon: EventPosition,
    /// The place up to which it should be read at once: the horizon, or some place before it and past the
    /// one that was asked about.
    pub until: EventPosition,
    /// Whether any shard has an event between the place that was asked about and the horizon.
    pub is_news: bool,
}

/// How far relaying is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayLag {
    /// Events that have not been told, at most [`RELAY_LAG_MAX`].
    pub events: u64,
    /// How old the oldest of them is, in milliseconds; 0 if there is none.
    pub oldest_ms: u64,
}

/// Up to where the feed can be read, and whether something keeps it from being read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayHorizon {
    /// The transaction up to which it can be read.
    pub xid: u64,
    /// Whether that transaction still runs: later ones may have ended, and are not to be read.
    pub is_held: bool,
}

/// How relaying of a node's shards stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayStanding {
    /// What waits.
    pub lag: RelayLag,
    /// What can be read.
    pub horizon: RelayHorizon,
}

/// Events that are counted at most: beyond it, a lag is just large.
pub const RELAY_LAG_MAX: u32 = 10_000;

struct RelayRow {
    shard: i64,
    xid: String,
    event_id: Uuid,
    kind: String,
    subject: Uuid,
    sequence: i64,
    at: OffsetDateTime,
    actor_id: Option<Uuid>,
    data: Json<JsonObject>,
    trace_id: Option<String>,
    node: String,
    epoch: i64,
}

impl TryFrom<RelayRow> for RelayEvent {
    type Error = StoreError;

    fn try_from(row: RelayRow) -> Result<Self, StoreError> {
        let record = EventRecord::try_from(EventRow {
            event_id: row.event_id,
            kind: row.kind,
            subject: row.subject,
            sequence: row.sequence,
            at: row.at,
            actor_id: row.actor_id,
            data: row.data,
            trace_id: row.trace_id,
            node: row.node,
            epoch: row.epoch,
        })?;
        let shard = usize::try_from(row.shard - 1).map_err(|_| StoreError::corrupt("a shard's ordinal"))?;
        Ok(Self {
            shard,
            position: EventPosition::behind(decode::parsed("event.xid", &row.xid)?, &record.event),
            record,
        })
    }
}

/// Columns of positions, as the statements take them.
#[derive(Default)]
struct PositionColumns {
    slot: Vec<i16>,
    xid: Vec<String>,
    aggregate: Vec<&'static str>,
    subject: Vec<Uuid>,
    sequence: Vec<i64>,
    kind: Vec<&'static str>,
}

impl PositionColumns {
    fn of(positions: &[RelayPosition]) -> Self {
        let mut columns = Self::default();
        for RelayPosition { lease, position } in positions {
            columns.slot.push(feed_slot(lease));
            let (aggregate, subject, sequence, kind) = position.columns();
            columns.xid.push(position.xid().to_string());
            columns.aggregate.push(aggregate);
            columns.subject.push(subject);
            columns.sequence.push(sequence);
            columns.kind.push(kind);
        }
        columns
    }
}

/// Numbers the shards of all services, as the database does.
fn feed_slot(lease: &Lease) -> i16 {
    let first = match lease.service {
        Service::Sessions => 0,
        Service::Products => 256,
        Service::Orders => 512,
    };
    first + i16::from(lease.shard.0)
}

fn leases_of(positions: &[RelayPosition]) -> LeaseColumns {
    let leases: Vec<Lease> = positions.iter().map(|position| position.lease).collect();
    LeaseColumns::of(&leases)
}

impl Store {
    /// Reads how far the events of these shards have been told.
    pub async fn relay_positions(&self, leases: &[Lease]) -> Result<Vec<RelayPosition>, StoreError> {
        let LeaseColumns { services, shards, .. } = LeaseColumns::of(leases);
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT w.n AS "n!", r.xid::text AS "xid!", r.subject, r.sequence, r.kind
                       FROM unnest($1::text[], $2::smallint[]) WITH ORDINALITY AS w (service, shard_id, n)
                       JOIN relay_position AS r USING (service, shard_id)"#,
                    &services,
                    &shards,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                let lease = usize::try_from(row.n - 1).ok().and_then(|n| leases.get(n));
                Ok(RelayPosition {
                    lease: *lease.ok_or_else(|| StoreError::corrupt("a shard's ordinal"))?,
                    position: EventPosition::from_columns(&row.xid, row.subject, row.sequence, &row.kind)?,
                })
            })
            .collect()
    }

    /// Finds the place before which these shards have nothing left to tell, whatever commits are on
    /// their way.
    pub async fn relay_begin(&self, positions: &[RelayPosition]) -> Result<EventPosition, StoreError> {
        let columns = PositionColumns::of(positions);
        let begin = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT least(pg_snapshot_xmin(pg_current_snapshot()), (
                           SELECT e.xid
                           FROM unnest($1::smallint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[])
                                AS w (slot, xid, aggregate, subject, sequence, kind)
                           CROSS JOIN LATERAL (
                               SELECT event.xid FROM event
                               WHERE feed_slot(event.aggregate, event.subject) = w.slot
                                 AND event.xid >= w.xid::xid8
                                 AND (event.xid, event.aggregate, event.subject, event.sequence, event.kind)
                                     > (w.xid::xid8, w.aggregate, w.subject, w.sequence, w.kind)
                               ORDER BY event.xid LIMIT 1
                           ) AS e
                           ORDER BY e.xid LIMIT 1))::text AS "begin!""#,
                    &columns.slot,
                    &columns.xid,
                    &columns.aggregate as &[&str],
                    &columns.subject,
                    &columns.sequence,
                    &columns.kind as &[&str],
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(EventPosition::before(decode::parsed("begin", &begin)?))
    }

    /// Tells whether any shard at all has an event from `since` on that can be read by now, and how far
    /// `window` events reach: what is far behind is not to be read, sorted and thrown away again and
    /// again.
    pub async fn relay_news(&self, since: EventPosition, window: u32) -> Result<RelayNews, StoreError> {
        let row = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT horizon.xid::text AS "horizon!",
                              least(horizon.xid, (
                                  SELECT xid FROM event WHERE xid >= $1::text::xid8 AND xid < horizon.xid
                                  ORDER BY xid OFFSET $2 LIMIT 1))::text AS "until!",
                              EXISTS (SELECT FROM event
                                      WHERE xid >= $1::text::xid8 AND xid < horizon.xid) AS "is_news!"
                       FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid) AS horizon"#,
                    since.xid().to_string(),
                    i64::from(window),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        let horizon = EventPosition::before(decode::parsed("horizon", &row.horizon)?);
        let window = EventPosition::before(decode::parsed("until", &row.until)?);
        // One transaction may have written more than the window holds: it is read whole.
        let next = EventPosition::before(since.xid().saturating_add(1));
        Ok(RelayNews {
            horizon,
            until: window.max(next).min(horizon),
            is_news: row.is_news,
        })
    }

    /// Reads events of these shards that have not been told and lie before `until`: up to
    /// `per_shard` of each and `limit` in all, each shard's in the feed's order.
    pub async fn relay_batch(
        &self,
        positions: &[RelayPosition],
        until: EventPosition,
        per_shard: u32,
        limit: u32,
    ) -> Result<Vec<RelayEvent>, StoreError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let columns = PositionColumns::of(positions);
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    RelayRow,
                    r#"SELECT w.n AS "shard!", e.xid::text AS "xid!", e.event_id AS "event_id!", e.kind AS "kind!",
                              e.subject AS "subject!", e.sequence AS "sequence!", e.at AS "at!",
                              e.actor_id AS "actor_id?", e.data AS "data!: Json<JsonObject>",
                              e.trace_id AS "trace_id?", e.node AS "node!", e.epoch AS "epoch!"
                       FROM unnest($1::smallint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[])
                            WITH ORDINALITY AS w (slot, xid, aggregate, subject, sequence, kind, n)
                       CROSS JOIN LATERAL (
                           SELECT * FROM event
                           WHERE feed_slot(event.aggregate, event.subject) = w.slot
                             AND event.xid >= w.xid::xid8 AND event.xid < $7::text::xid8
                             AND (event.xid, event.aggregate, event.subject, event.sequence, event.kind)
                                 > (w.xid::xid8, w.aggregate, w.subject, w.sequence, w.kind)
                           ORDER BY event.xid, event.aggregate, event.subject, event.sequence, event.kind
                           LIMIT $8
                       ) AS e
                       ORDER BY e.xid, e.aggregate, e.subject, e.sequence, e.kind
                       LIMIT $9"#,
                    &columns.slot,
                    &columns.xid,
                    &columns.aggregate as &[&str],
                    &columns.subject,
                    &columns.sequence,
                    &columns.kind as &[&str],
                    until.xid().to_string(),
                    i64::from(per_shard),
                    i64::from(limit),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter().map(RelayEvent::try_from).collect()
    }

    /// Finds the last events of these shards before `until`, without what they tell: for shards of which
    /// nothing is to be told. Returns those shards that have one behind where they stand.
    pub async fn relay_last(
        &self,
        positions: &[RelayPosition],
        until: EventPosition,
    ) -> Result<Vec<RelayPosition>, StoreError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let columns = PositionColumns::of(positions);
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT w.n AS "n!", e.xid::text AS "xid!", e.subject AS "subject!", e.sequence AS "sequence!",
                              e.kind AS "kind!"
                       FROM unnest($1::smallint[], $2::text[]) WITH ORDINALITY AS w (slot, xid, n)
                       CROSS JOIN LATERAL (
                           SELECT event.xid, event.subject, event.sequence, event.kind FROM event
                           WHERE feed_slot(event.aggregate, event.subject) = w.slot
                             AND event.xid >= w.xid::xid8 AND event.xid < $3::text::xid8
                           ORDER BY event.xid DESC, event.aggregate DESC, event.subject DESC, event.sequence DESC,
                                    event.kind DESC
                           LIMIT 1
                       ) AS e"#,
                    &columns.slot,
                    &columns.xid,
                    until.xid().to_string(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let mut found = Vec::new();
        for row in rows {
            let known = usize::try_from(row.n - 1).ok().and_then(|n| positions.get(n));
            let known = known.ok_or_else(|| StoreError::corrupt("a shard's ordinal"))?;
            let position = EventPosition::from_columns(&row.xid, row.subject, row.sequence, &row.kind)?;
            if position > known.position {
                found.push(RelayPosition { position, ..*known });
            }
        }
        Ok(found)
    }

    /// Notes how far shards have been told, or passed over; returns those whose note was taken. What is missing there
    /// is held by another node now, or stood as far before.
    ///
    /// All are of one node.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the node has been superseded.
    pub async fn relay_advance(
        &self,
        positions: &[RelayPosition],
    ) -> Result<HashSet<(Service, ShardId)>, StoreError> {
        let Some(node_id) = positions.first().map(|position| position.lease.node_id) else {
            return Ok(HashSet::new());
        };
        let leases = leases_of(positions);
        let columns = PositionColumns::of(positions);
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT advanced_service AS "service!", advanced_shard AS "shard!"
                       FROM relay_advance($1, $2, $3, $4, ($5::text[])::xid8[], $6, $7, $8, $9)"#,
                    node_id.0,
                    &leases.services,
                    &leases.shards,
                    &leases.epochs,
                    &columns.xid,
                    &columns.aggregate as &[&str],
                    &columns.subject,
                    &columns.sequence,
                    &columns.kind as &[&str],
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                let shard = u8::try_from(row.shard).map_err(|_| StoreError::corrupt("a shard's number"))?;
                Ok((
                    decode::parsed("relay_position.service", &row.service)?,
                    ShardId(shard),
                ))
            })
            .collect()
    }

    /// Measures how far relaying of the shards that a node owns is behind, readable or not, and what
    /// holds the feed back.
    pub async fn relay_standing(&self, node_id: NodeId) -> Result<RelayStanding, StoreError> {
        let row = self
            .run(async |c| {
                sqlx::query!(
                    r#"WITH held AS (
                           SELECT (s.shard_id + CASE s.service
                                   WHEN 'sessions' THEN 0 WHEN 'products' THEN 256 ELSE 512 END)::smallint AS slot,
                                  r.xid, r.aggregate, r.subject, r.sequence, r.kind
                           FROM shard AS s JOIN relay_position AS r USING (service, shard_id)
                           WHERE s.owner = $1
                       )
                       SELECT (SELECT count(*) FROM (
                                   SELECT FROM held
                                   CROSS JOIN LATERAL (
                                       SELECT FROM event
                                       WHERE feed_slot(event.aggregate, event.subject) = held.slot
                                         AND event.xid >= held.xid
                                         AND (event.xid, event.aggregate, event.subject, event.sequence, event.kind)
                                             > (held.xid, held.aggregate, held.subject, held.sequence, held.kind)
                                       ORDER BY event.xid LIMIT $2
                                   ) AS e
                                   LIMIT $2) AS late) AS "events!",
                              -- Of every shard, however many events the ones before have.
                              coalesce((
                                  SELECT ceil(extract(epoch FROM clock_timestamp() - min(first.at)) * 1000)
                                  FROM held
                                  CROSS JOIN LATERAL (
                                      SELECT event.at FROM event
                                      WHERE feed_slot(event.aggregate, event.subject) = held.slot
                                        AND event.xid >= held.xid
                                        AND (event.xid, event.aggregate, event.subject, event.sequence, event.kind)
                                            > (held.xid, held.aggregate, held.subject, held.sequence, held.kind)
                                      ORDER BY event.xid LIMIT 1
                                  ) AS first), 0)::bigint AS "oldest_ms!",
                              pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!",
                              pg_snapshot_xmin(pg_current_snapshot())
                                  < pg_snapshot_xmax(pg_current_snapshot()) AS "is_held!""#,
                    node_id.0,
                    i64::from(RELAY_LAG_MAX),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(RelayStanding {
            lag: RelayLag {
                events: row.events.unsigned_abs(),
                oldest_ms: row.oldest_ms.max(0).unsigned_abs(),
            },
            horizon: RelayHorizon {
                xid: decode::parsed("horizon", &row.horizon)?,
                is_held: row.is_held,
            },
        })
    }
}
