//! The commands: each file holds one, with its arguments and its effect.

pub mod audit;
pub mod bench;
pub mod chaos;
pub mod config;
mod database;
pub mod dlq;
pub mod drain;
pub mod migrate;
pub mod node;
pub mod plan;
pub mod seed;
pub mod simulate;
pub mod status;
pub mod up;
pub mod user;
