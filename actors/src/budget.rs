//! The cluster's budgets of requests: how often an address or a caller may ask, on all nodes together.
//!
//! A *subject* - a client's address, or somebody who is signed in - has one budget for each class of
//! calls: a bucket that refills at a rate and holds a burst. The bucket is in the memory of one node,
//! the owner of the shard of `sessions` that the subject falls into, and so is counted once however
//! many nodes are asked. Other nodes draw on it in *leases*: a few tokens at a time that are good for
//! a short while, so that most requests are decided where they arrive.
//!
//! ```text
//! admit     one request: from a lease, by the owner, or from this node's share
//! |- leases what an edge holds of buckets that others own: a state machine without tasks or clock
//! |- buckets the buckets, by governor's GCRA; the owner's, and this node's shares
//! |  `- kept a bounded map that forgets first what tells least
//! `- policy, options
//!           who is counted, in which class, at which rate
//! ```
//! *Invariant*: a request waits for its budget no longer than [`BudgetOptions::lease_wait`]. Limits
//! protect the shop from too much; they are not part of what it promises, and fail towards selling.
//! What that costs is a bound, stated in `docs/adr/0014-leases-of-a-cluster-budget.md`.

mod admit;
mod buckets;
mod clock;
mod counters;
mod kept;
mod leases;
mod options;
mod policy;
#[cfg(test)]
mod tests;

pub use admit::Admission;
pub(crate) use admit::Budget;
pub use counters::BudgetCounters;
pub use options::{BudgetOptions, Rate, Rates};
pub use policy::{Class, Policy, Scope, Subject};
