//! Orders: placing one, and one actor for each that goes on from there.
//!
//! Nobody else can know of an order that is being placed, so placing needs no actor: it runs in the
//! request's own task at the order's home, which is the owner of its shard. Once placed, an order's
//! moves serialise through its actor.
//!
//! What a move asks of stock - shipping, giving back - is told to the products after the move's own
//! commit, as a target to reach. The order stays marked as unsettled until all have answered, and its
//! owner, whoever that is by then, tells them again.

mod actor;
mod moves;
mod place;
mod resume;
mod resuming;
mod saga;
mod settle;

pub(crate) use actor::{OrderActor, OrderMessage, answer};
pub(crate) use place::place;
pub(crate) use resume::sweep;
pub(crate) use resuming::Resuming;
