//! The cluster: requests find their owner, and owners may die.

mod draining;
mod faults;
mod isolation;
mod routing;
