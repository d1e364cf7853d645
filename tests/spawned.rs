//! The binary: clusters that `holdfast up` runs as processes, which are killed, paused and stopped.

mod balancing;
mod chaos;
mod dead_letters;
mod dying;
mod monitoring;
mod refusals;
mod services;
mod shoppers;
mod starting;
mod stopping;
mod tracing;
