//! The lane: everything that a node decided while its last commit ran, committed together.

use time::OffsetDateTime;
use uuid::Uuid;

mod batch;
mod columns;

pub use batch::{Batch, Committed, OrderExpected, OrderWrite, ReservationWrite, StockWrite};

use self::columns::{
    EventColumns, MovementColumns, OperationColumns, OrderColumns, ReservationColumns, StockColumns,
};
use crate::{Store, StoreError, cluster::LeaseColumns};

impl Store {
    /// Commits a batch, all or nothing.
    ///
    /// Sending the very same batch again after [`StoreError::OutcomeUnknown`] is safe: it answers
    /// [`Committed::Already`], or does it now. A lane sends its next batch only after that.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the node is superseded, or does not hold a shard that the batch writes.
    /// [`StoreError::Duplicate`]: names every order and operation whose key was used before, also by
    /// another one of the batch. Versions were not looked at.
    /// [`StoreError::Version`]: names every stock, reservation and order that is not as expected; the
    /// rest of the batch may be sent again at once under a new batch id.
    /// [`StoreError::Rejected`]: the batch contradicts itself, or breaks a constraint of the schema.
    pub async fn lane_commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let leases = LeaseColumns::of(&batch.leases);
        let stock = StockColumns::of(&batch.stock);
        let movements = MovementColumns::of(&batch.movements);
        let reservations = ReservationColumns::of(&batch.reservations);
        let orders = OrderColumns::of(&batch.orders)?;
        let events = EventColumns::of(&batch.events);
        let operations = OperationColumns::of(&batch.operations);
        let outcome = self
            .run_on_lane(async |c| {
                sqlx::query_file_scalar!(
                    "src/lane/lane_commit.sql",
                    batch.batch_id,
                    batch.node_id.0,
                    batch.lane,
                    &leases.services,
                    &leases.shards,
                    &leases.epochs,
                    &stock.product,
                    &stock.expected,
                    &stock.on_hand,
                    &stock.reserved,
                    &stock.version,
                    &movements.product,
                    &movements.version,
                    &movements.id,
                    &movements.kind as &[&str],
                    &movements.delta_on_hand,
                    &movements.delta_reserved,
                    &movements.on_hand,
                    &movements.reserved,
                    &movements.order as &[Option<Uuid>],
                    &movements.reason as &[Option<&str>],
                    &movements.note as &[Option<&str>],
                    &movements.actor,
                    &movements.at,
                    &reservations.order,
                    &reservations.product,
                    &reservations.seller,
                    &reservations.quantity,
                    &reservations.round,
                    &reservations.shipped,
                    &reservations.released,
                    &reservations.is_new,
                    &reservations.round_before,
                    &reservations.shipped_before,
                    &reservations.released_before,
                    &orders.id,
                    &orders.expected as &[&str],
                    &orders.expected_version,
                    &orders.customer,
                    &orders.key as &[&str],
                    &orders.fingerprint as &[&[u8]],
                    &orders.state as &[&str],
                    &orders.lines,
                    &orders.total_minor,
                    &orders.currency as &[&str],
                    &orders.shipping_address as &[Option<&str>],
                    &orders.note as &[Option<&str>],
                    &orders.payment as &[Option<String>],
                    &orders.refusal as &[Option<String>],
                    &orders.expires_at as &[Option<OffsetDateTime>],
                    &orders.place_deadline as &[Option<OffsetDateTime>],
                    &orders.unsettled,
                    &orders.round,
                    &orders.created_at,
                    &orders.updated_at,
                    &orders.version,
                    &events.aggregate as &[&str],
                    &events.subject,
                    &events.sequence,
                    &events.kind as &[&str],
                    &events.id,
                    &events.at,
                    &events.actor as &[Option<Uuid>],
                    &events.data as &[&str],
                    &events.epoch,
                    &events.trace as &[Option<&str>],
                    &operations.principal,
                    &operations.route as &[&str],
                    &operations.key as &[&str],
                    &operations.fingerprint as &[&[u8]],
                    &operations.outcome as &[&str],
                    &operations.at,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        match outcome.as_str() {
            "now" => Ok(Committed::Now),
            "already" => Ok(Committed::Already),
            other => Err(StoreError::corrupt(format_args!(
                "lane_commit answered {other:?}"
            ))),
        }
    }
}
