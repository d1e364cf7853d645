//! The lane: everything that a node decided while its last commit ran, committed together.

mod batch;
mod rows;

pub use batch::{Batch, Committed, OrderExpected, OrderWrite, ReservationWrite, StockWrite};

use self::rows::{EventRow, MovementRow, OperationRow, OrderRow, ReservationRow, StockRow};
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
        let stock: Vec<_> = batch.stock.iter().map(StockRow::from).collect();
        let movements: Vec<_> = batch.movements.iter().map(MovementRow::from).collect();
        let reservations: Vec<_> = batch.reservations.iter().map(ReservationRow::from).collect();
        let orders: Vec<_> = batch
            .orders
            .iter()
            .map(OrderRow::try_from)
            .collect::<Result<_, _>>()?;
        let events: Vec<_> = batch.events.iter().map(EventRow::from).collect();
        let operations: Vec<_> = batch.operations.iter().map(OperationRow::from).collect();
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
                    &stock as &[StockRow],
                    &movements as &[MovementRow<'_>],
                    &reservations as &[ReservationRow],
                    &orders as &[OrderRow<'_>],
                    &events as &[EventRow<'_>],
                    &operations as &[OperationRow<'_>],
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
