//! Holdfast as its users meet it: over HTTP, on clusters of several real nodes.
//!
//! Most tests run several nodes in this process, which talk over real sockets and a Postgres of their
//! own; those under [`spawned`] start the binary. Each reads as a sentence about behaviour and waits
//! for conditions, never for time to pass. When a cluster is dropped, the whole shop is audited.

mod harness;

mod accounts;
mod cache;
mod catalogue;
mod cluster;
mod components;
mod events;
mod idempotency;
mod limits;
mod mail;
mod metrics;
mod monitoring;
mod orders;
mod payments;
mod saga;
mod selling;
mod services;
mod spawned;
