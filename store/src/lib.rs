//! The shop in PostgreSQL: the only crate that knows SQL.
//!
//! Layer: `node -> http -> actors -> store -> domain`.
//!
//! Every write is one call of one function in the database, in a transaction of its own: no lock is
//! held while a node thinks. Each such function begins with the *fence*: it shares a lock on the
//! writing node's row, so that declaring the node dead waits for the write or stops it, and it checks
//! that the node holds the shards it writes at the epochs it believes in. Row versions guard besides.
//!
//! [`model`] is the same store in memory, for simulations.
//!
//! *Architecture invariant*: nothing here decides. Rules live in `holdfast-domain`; this crate writes
//! what was decided, all or nothing, or says exactly why it did not ([`StoreError`]). Time comes in as
//! values read from Postgres' clock; no table has a default of its own for it.

mod account;
mod audit;
mod catalogue;
mod cluster;
mod consumer;
mod decode;
mod error;
mod event;
pub mod hardship;
mod lane;
mod lease;
pub mod measure;
pub mod model;
mod operation;
mod order;
mod page;
mod pool;
pub mod seed;
#[cfg(feature = "testing")]
pub mod testing;

pub use account::{
    AccessChange, AccessChanges, AccessCursor, Credentials, NewAccount, PasswordChange, SigningKey,
};
pub use audit::{Finding, StockBreaches};
pub use catalogue::{
    NewProduct, ProductFilter, ProductKey, ProductPosition, ProductSort, StockedProduct, UnknownProductSort,
};
pub use cluster::{
    Beat, ClusterMap, HeartbeatConnection, NewNode, NodeLock, NodeRow, NodeState, PeerBeat, ShardRow,
    UnknownNodeState, Vote, application_name,
};
pub use consumer::{
    Acceptance, Consequence, ConsumerBacklog, ConsumerTask, DeadLetter, DeadLetterFilter, DeadLetterKey,
    StockAlert, StreamName, TaskAttempt,
};
pub use error::{Duplicate, Stale, StoreError};
pub use event::{
    EventPosition, EventRecord, EventWrite, FeedEvent, FeedLimit, FeedPage, RELAY_LAG_MAX, RelayEvent,
    RelayHorizon, RelayLag, RelayNews, RelayPosition, RelayStanding, UnknownPosition,
};
pub use lane::{Batch, Committed, OrderExpected, OrderWrite, ReservationWrite, StockWrite};
pub use lease::{Lease, Service, UnknownService};
pub use operation::{OperationRecord, StoredOperation};
pub use order::{
    OrderFilter, OrderRecord, OrderSave, OrderScope, OrderState, UnfinishedOrder, UnfinishedWork,
};
pub use page::{PAGE_LIMIT_MAX, Page, PageRequest};
pub use pool::{PoolFigures, Store, StoreOptions};
