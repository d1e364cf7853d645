//! The rules of a shop: accounts, catalogue, stock and orders, as plain values.
//!
//! Layer: the lowest. `node -> http -> actors -> store -> domain`.
//!
//! *Architecture invariant*: nothing here performs IO, reads a clock or draws randomness. Time comes
//! in as a [`Timestamp`], random bytes as arrays, so that every rule can be run in a property test or
//! a simulation. Refusals are values ([`Refusal`]) that travel between nodes and into the store.

pub mod access;
pub mod account;
pub mod event;
pub mod id;
pub mod json;
pub mod money;
pub mod operation;
pub mod order;
pub mod payment;
pub mod product;
pub mod refusal;
pub mod session;
pub mod stock;
pub mod text;
pub mod time;

pub use access::{Caller, Role};
pub use account::{Email, User};
pub use event::{Event, EventKind};
pub use id::{
    EventId, FulfilmentId, MovementId, NodeId, OrderId, PaymentId, ProductId, SessionId, ShardId, UserId,
};
pub use json::JsonObject;
pub use money::{Currency, Money};
pub use operation::{Fingerprint, Operation, OperationKey};
pub use order::{Order, OrderLine, OrderStatus};
pub use payment::{Payment, PaymentProvider};
pub use product::{Product, ProductStatus, Sku};
pub use refusal::{FieldError, Refusal, Shortage};
pub use session::Session;
pub use stock::{Movement, MovementKind, Quantity, Reservation, StockLevel};
pub use time::Timestamp;
