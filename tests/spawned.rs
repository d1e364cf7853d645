//! The binary: clusters that `holdfast up` runs as processes, which are killed, paused and stopped.

mod balancing;
mod bench;
mod chaos;
mod dead_letters;
mod dying;
mod enduring;
mod monitoring;
mod mutations;
mod refusals;
mod rolling;
mod seeding;
mod services;
mod shoppers;
mod simulation;
mod starting;
mod stopping;
mod tracing;
mod visitors;
