//! Orders: placing one, and one actor for each that goes on from there.
//!
//! Nobody else can know of an order that is being placed, so placing needs no actor: it runs in the
//! request's own task at the order's home, which is the owner of its shard. Once placed, an order's
//! moves serialise through its actor.
//!
//! What a move asks of stock - shipping, giving back - is told to the products after the move's own
//! commit, as a target to reach. The order stays marked as unsettled until all have answered, and its
//! owner, whoever that is by then, tells them again.
//!
//! An order that was paid after it had expired asks for its units anew, in the next *round* of its
//! reservations, and is marked as unsettled until it has all of them or has none and the money goes
//! back. What products were told of earlier rounds no longer concerns them.

mod actor;
mod moves;
mod place;
mod report;
mod resume;
mod resuming;
mod revive;
mod saga;
mod settle;

pub(crate) use actor::{OrderActor, OrderMessage, answer};
pub(crate) use place::place;
pub(crate) use resume::sweep;
pub(crate) use resuming::Resuming;
