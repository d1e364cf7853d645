//! The shop, as the edge calls it.
//!
//! Unit tests call a fake of the same methods: it needs no database, answers what it is told to, and
//! remembers what it was asked.

#[cfg(not(test))]
pub(crate) use holdfast_actors::{Client as Shop, client::EventStream};

#[cfg(test)]
mod fake;

#[cfg(test)]
pub(crate) use fake::{EventStream, Mood, Shop, VERSION};
