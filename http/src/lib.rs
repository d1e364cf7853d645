//! The HTTP edge: the shop's API and its operations, served with warp through hyper.
//!
//! Layer: `node -> http -> actors -> store -> domain`.
//!
//! ```text
//! server    accepts, bounds and times connections
//! service   gives each request its identity, finds its route, admits it, and finishes the response
//! route     the table: one row for a method of a path, and the warp filter that serves it
//! limit     rate limits: the class of each route, and what answers say of the budgets
//! request   what a request brings: filters and the types they extract
//! account, product, order, operations
//!           the calls: a file each, with the route (wiring), the handler (a plain async fn), the bodies
//! reply, problem
//!           what is answered
//! ```
//! A request is checked here as far as it can be without state; what a shop may do is decided by the
//! domain, at the owner. Every failure is a [problem], from one exhaustive match.
//!
//! *Architecture invariant*: nothing here knows SQL, owns an entity or retries a change. A response
//! never quotes an error of a lower layer, and no domain type is serialised but through a body of
//! this crate's own.

mod account;
mod admission;
mod digest;
mod edge;
mod events;
mod limit;
mod list;
mod metrics;
mod money;
mod openapi;
mod operations;
mod options;
mod order;
mod payment;
mod problem;
mod product;
mod reply;
mod request;
mod route;
mod server;
mod service;
mod shop;
mod start;
#[cfg(test)]
mod testing;
mod token;

pub use options::EdgeOptions;
pub use payment::WebhookKeys;
pub use request::{BadTrustedProxy, TrustedProxy};
pub use start::{Edge, EdgeError, EdgeHandle};
pub use token::KeyError;
