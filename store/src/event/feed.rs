//! The feed: all events of the shop, in the order in which they may be read.
//!
//! It is read by transaction id and not by time, up to the oldest transaction that still runs: what
//! lies below is there or never will be. So nothing is missed, however late its commit, and whoever
//! reads on from a position reads nothing twice.

use std::{cmp::Ordering, fmt, str::FromStr};

use holdfast_domain::{EventKind, JsonObject, UserId, event::Audience};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{EventRecord, EventRow};
use crate::{Store, StoreError, decode};

/// A place in the feed: behind an event, or before all events of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventPosition {
    xid: u64,
    behind: Option<(EventKind, Uuid, i64)>,
}

/// Text that names no place in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the feed of events")]
pub struct UnknownPosition;

impl EventPosition {
    /// The place before every event.
    pub const START: Self = Self::before(0);

    /// Returns the place before all events of transaction `xid` and of later ones.
    pub const fn before(xid: u64) -> Self {
        Self { xid, behind: None }
    }

    /// Returns the place behind an event of transaction `xid`.
    pub(super) fn behind(xid: u64, event: &holdfast_domain::Event) -> Self {
        Self {
            xid,
            behind: Some((event.kind, event.subject, event.sequence)),
        }
    }

    /// Returns the transaction.
    pub const fn xid(self) -> u64 {
        self.xid
    }

    /// Returns the columns by which the feed is ordered within a transaction.
    pub(super) fn columns(&self) -> (&'static str, Uuid, i64, &'static str) {
        match self.behind {
            None => ("", Uuid::nil(), 0, ""),
            Some((kind, subject, sequence)) => (kind.aggregate().as_str(), subject, sequence, kind.as_str()),
        }
    }

    /// Joins what the database keeps of a position.
    pub(super) fn from_columns(
        xid: &str,
        subject: Uuid,
        sequence: i64,
        kind: &str,
    ) -> Result<Self, StoreError> {
        let behind = match kind {
            "" => None,
            kind => Some((decode::parsed("position.kind", kind)?, subject, sequence)),
        };
        Ok(Self {
            xid: decode::parsed("position.xid", xid)?,
            behind,
        })
    }
}

impl Ord for EventPosition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.xid
            .cmp(&other.xid)
            .then_with(|| self.columns().cmp(&other.columns()))
    }
}

impl PartialOrd for EventPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.behind {
            None => write!(f, "{}", self.xid),
            Some((kind, subject, sequence)) => write!(f, "{}/{kind}/{subject}/{sequence}", self.xid),
        }
    }
}

impl FromStr for EventPosition {
    type Err = UnknownPosition;

    fn from_str(text: &str) -> Result<Self, UnknownPosition> {
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(UnknownPosition);
        let xid = part()?.parse().map_err(|_| UnknownPosition)?;
        let Ok(kind) = part() else {
            return Ok(Self::before(xid));
        };
        let kind = kind.parse().map_err(|_| UnknownPosition)?;
        let subject = part()?.parse().map_err(|_| UnknownPosition)?;
        let sequence = part()?.parse().map_err(|_| UnknownPosition)?;
        match part() {
            Ok(_) => Err(UnknownPosition),
            Err(_) => Ok(Self {
                xid,
                behind: Some((kind, subject, sequence)),
            }),
        }
    }
}

/// An event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// The event.
    pub record: EventRecord,
    /// The place behind it.
    pub position: EventPosition,
    /// Who it concerns.
    pub audience: Audience,
}

impl FeedEvent {
    /// Returns about how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.record.event.data.as_str().len()
    }
}

/// Events of the feed that were read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in the feed's order.
    pub events: Vec<FeedEvent>,
    /// Whether a bound ended the page: there may be more to be read now.
    pub is_cut: bool,
}

/// Bounds of a page of the feed, whichever is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLimit {
    /// Events, at most.
    pub events: u32,
    /// Bytes of what they tell, after which no further event begins: one event may exceed it.
    pub bytes: u32,
}

/// A row of the feed, with what tells whom it concerns.
struct FeedRow {
    found: i64,
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
    seller_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    products: Option<Vec<Uuid>>,
    sellers: Option<Vec<Uuid>>,
}

impl TryFrom<FeedRow> for FeedEvent {
    type Error = StoreError;

    fn try_from(row: FeedRow) -> Result<Self, StoreError> {
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
        let audience = match (row.seller_id, row.customer_id, row.products, row.sellers) {
            (Some(seller), ..) => Audience::Seller(UserId(seller)),
            (None, Some(customer), Some(products), Some(sellers)) => {
                Audience::from((customer, products, sellers))
            }
            _ if record.event.kind.aggregate() == holdfast_domain::event::Aggregate::User => {
                Audience::Account(UserId(record.event.subject))
            }
            _ => Audience::Nobody,
        };
        let xid = decode::parsed("event.xid", &row.xid)?;
        Ok(Self {
            position: EventPosition::behind(xid, &record.event),
            record,
            audience,
        })
    }
}

impl Store {
    /// Returns the place up to which the feed can be read now.
    pub async fn event_horizon(&self) -> Result<EventPosition, StoreError> {
        let xid = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!""#)
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(EventPosition::before(decode::parsed("horizon", &xid)?))
    }

    /// Reads events of the whole shop that follow `after`, in the feed's order, within `limit`.
    pub async fn events_after(&self, after: EventPosition, limit: FeedLimit) -> Result<FeedPage, StoreError> {
        let (aggregate, subject, sequence, kind) = after.columns();
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    FeedRow,
                    r#"SELECT e.found AS "found!", e.xid::text AS "xid!", e.event_id, e.kind, e.subject, e.sequence,
                              e.at, e.actor_id, e.data AS "data: Json<JsonObject>", e.trace_id, e.node, e.epoch,
                              p.seller_id AS "seller_id?", o.customer_id AS "customer_id?",
                              o.products AS "products?", o.sellers AS "sellers?"
                       FROM (
                           SELECT page.*, count(*) OVER () AS found,
                                  sum(octet_length(page.data::text))
                                      OVER (ORDER BY xid, aggregate, subject, sequence, kind)
                                      - octet_length(page.data::text) AS bytes_before
                           FROM (
                               SELECT * FROM event
                               WHERE xid >= $1::text::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
                                 AND (xid, aggregate, subject, sequence, kind) > ($1::text::xid8, $2, $3, $4, $5)
                               ORDER BY xid, aggregate, subject, sequence, kind LIMIT $6
                           ) AS page
                       ) AS e
                       LEFT JOIN LATERAL (
                           SELECT product.seller_id FROM product
                           WHERE e.aggregate IN ('product', 'stock') AND product.product_id = e.subject
                       ) AS p ON true
                       LEFT JOIN LATERAL (
                           SELECT orders.customer_id,
                                  ARRAY(SELECT (line ->> 'product_id')::uuid
                                        FROM jsonb_array_elements(orders.lines) WITH ORDINALITY AS l (line, n)
                                        ORDER BY n) AS products,
                                  ARRAY(SELECT (line ->> 'seller_id')::uuid
                                        FROM jsonb_array_elements(orders.lines) WITH ORDINALITY AS l (line, n)
                                        ORDER BY n) AS sellers
                           FROM orders
                           WHERE e.aggregate = 'order' AND orders.order_id = e.subject
                       ) AS o ON true
                       WHERE e.bytes_before < $7
                       ORDER BY e.xid, e.aggregate, e.subject, e.sequence, e.kind"#,
                    after.xid().to_string(),
                    aggregate,
                    subject,
                    sequence,
                    kind,
                    i64::from(limit.events),
                    i64::from(limit.bytes),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let found = rows.first().map_or(0, |row| row.found.unsigned_abs());
        let is_cut = found >= u64::from(limit.events) || found > rows.len() as u64;
        Ok(FeedPage {
            events: rows
                .into_iter()
                .map(FeedEvent::try_from)
                .collect::<Result<_, _>>()?,
            is_cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_the_trip_as_text() {
        let behind = EventPosition {
            xid: 12,
            behind: Some((EventKind::OrderPlaced, Uuid::from_u128(5), 3)),
        };
        for position in [EventPosition::START, EventPosition::before(u64::MAX), behind] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in [
            "",
            "x",
            "-1",
            "1/order.placed",
            "1/nonsense/5/3",
            &format!("{behind}/1"),
        ] {
            assert_eq!(bad.parse::<EventPosition>(), Err(UnknownPosition), "{bad:?}");
        }
    }

    #[test]
    fn positions_are_ordered_as_the_feed_is() {
        let at = |xid, kind, subject, sequence| EventPosition {
            xid,
            behind: Some((kind, Uuid::from_u128(subject), sequence)),
        };
        let ordered = [
            EventPosition::START,
            EventPosition::before(7),
            at(7, EventKind::PaymentCaptured, 1, 2),
            at(7, EventKind::OrderConfirmed, 1, 3),
            at(7, EventKind::OrderPlaced, 2, 1),
            at(7, EventKind::ProductCreated, 1, 1),
            at(7, EventKind::StockAdjusted, 1, 4),
            at(7, EventKind::StockLow, 1, 4),
            EventPosition::before(8),
        ];
        assert!(ordered.is_sorted());
    }
}
