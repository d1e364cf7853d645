//! The lane: everything that a node decided while its last commit ran, committed together.

mod batch;
mod rows;

pub use batch::{Batch, Committed, OrderExpected, OrderWrite, ReservationWrite, StockWrite};

use sqlx::PgConnection;

use self::rows::{EventRow, MovementRow, OperationRow, OrderRow, ReservationRow, StockRow};
use crate::{Store, StoreError, cluster::LeaseColumns, error::is_unexpected};

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
        let rows = Rows::of(batch)?;
        let briefly = self
            .run_on_lane(async |c| rows.commit(batch, Look::Briefly, c).await)
            .await;
        let outcome = match briefly {
            Err(StoreError::Rejected(error)) if is_unexpected(&error) => {
                let closely = self
                    .run_on_lane(async |c| rows.commit(batch, Look::Closely, c).await)
                    .await?;
                if closely == "now" {
                    // What stood in the way may have gone meanwhile. If this comes often, the two do not agree.
                    tracing::warn!(
                        batch = %batch.batch_id,
                        error = &error as &dyn std::error::Error,
                        "what was in a batch's way was not there when it was looked for"
                    );
                }
                closely
            }
            outcome => outcome?,
        };
        match outcome.as_str() {
            "now" => Ok(Committed::Now),
            "already" => Ok(Committed::Already),
            other => Err(StoreError::corrupt(format_args!(
                "lane_commit answered {other:?}"
            ))),
        }
    }
}

/// How a commit looks at what is in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It finds that something is, which is the exception.
    Briefly,
    /// It tells what.
    Closely,
}

/// A batch as the database's functions take it.
struct Rows<'a> {
    leases: LeaseColumns,
    stock: Vec<StockRow>,
    movements: Vec<MovementRow<'a>>,
    reservations: Vec<ReservationRow>,
    orders: Vec<OrderRow<'a>>,
    events: Vec<EventRow<'a>>,
    operations: Vec<OperationRow<'a>>,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a Batch) -> Result<Self, StoreError> {
        let orders = batch.orders.iter().map(OrderRow::try_from);
        Ok(Self {
            leases: LeaseColumns::of(&batch.leases),
            stock: batch.stock.iter().map(StockRow::from).collect(),
            movements: batch.movements.iter().map(MovementRow::from).collect(),
            reservations: batch.reservations.iter().map(ReservationRow::from).collect(),
            orders: orders.collect::<Result<_, _>>()?,
            events: batch.events.iter().map(EventRow::from).collect(),
            operations: batch.operations.iter().map(OperationRow::from).collect(),
        })
    }

    async fn commit(&self, batch: &Batch, look: Look, c: &mut PgConnection) -> sqlx::Result<String> {
        sqlx::query_file_scalar!(
            "src/lane/lane_commit.sql",
            batch.batch_id,
            batch.node_id.0,
            batch.lane,
            &self.leases.services,
            &self.leases.shards,
            &self.leases.epochs,
            &self.stock as &[StockRow],
            &self.movements as &[MovementRow<'_>],
            &self.reservations as &[ReservationRow],
            &self.orders as &[OrderRow<'_>],
            &self.events as &[EventRow<'_>],
            &self.operations as &[OperationRow<'_>],
            look == Look::Closely,
        )
        .fetch_one(c)
        .await
    }
}
