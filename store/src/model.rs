//! The store's tables and write functions in memory, for simulations.
//!
//! What [`Store`](crate::Store) does by one call of one function in Postgres, [`Model`] does by one call
//! on plain maps: the same arguments, the same answers, the same refusals for the same reasons, all or
//! nothing. Calls take effect one after the other, which is what the locks of the real functions come
//! to. Connections, and with them the unknown outcome of a commit, are the simulation's own part.
//!
//! *Architecture invariant*: no IO, no clock, no randomness, and no iteration in an order that could
//! differ between two runs. Equal calls on equal models leave equal models.
//!
//! *The model is true*: a test runs the same random calls on it and on Postgres, and compares every
//! answer and the tables. Where they may differ: rows whose order Postgres leaves open come by key here;
//! JSON is kept as it was written, not as `jsonb` spells it; text that Postgres cannot hold, and moments
//! past the year 9999, are kept as they are; the accounts to which ids refer are not looked at.

mod audit;
mod cluster;
mod constraint;
mod fence;
mod guards;
mod lane;
mod order;
mod product;
mod tables;

pub use audit::Breach;
pub use guards::Guards;

use self::tables::Tables;
use crate::StoreError;

/// A store in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    guards: Guards,
    tables: Tables,
}

impl Model {
    /// Makes an empty store: no node, no product, shards that nobody has owned.
    pub fn new() -> Self {
        Self::with(Guards::default())
    }

    /// Makes an empty store in which some guards may be missing, to show that their loss is noticed.
    pub fn with(guards: Guards) -> Self {
        Self {
            guards,
            tables: Tables::new(),
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the error of a database that cannot be reached: nothing was done.
pub fn unreachable() -> StoreError {
    StoreError::Unavailable(sqlx::Error::PoolTimedOut)
}

/// Makes the error of a connection that was lost with a statement under way.
pub fn connection_lost() -> StoreError {
    StoreError::OutcomeUnknown(sqlx::Error::WorkerCrashed)
}

fn fenced(reason: impl Into<String>) -> StoreError {
    let reason = reason.into();
    StoreError::Fenced { reason }
}

/// What Postgres would refuse because a constraint of the schema stands against it.
fn rejected(reason: impl Into<String>) -> StoreError {
    StoreError::Rejected(sqlx::Error::InvalidArgument(reason.into()))
}
