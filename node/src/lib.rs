//! Holdfast's operating side: settings, the embedded database, the launcher,
//! the commands.
//!
//! Layer: the highest. `node -> http -> actors -> store -> domain`. The binary
//! `holdfast` is a shell around [`cli`].
//!
//! *Architecture invariant*: nothing here decides about accounts, stock or
//! orders. This crate reads settings, wires the other crates together and
//! keeps processes running.

pub mod bench;
pub mod chaos;
pub mod cli;
pub mod cluster_file;
pub mod commands;
pub mod config;
pub mod credentials;
pub mod metrics;
pub mod node;
pub mod password;
pub mod plan;
pub mod postgres;
pub mod private_file;
pub mod probe;
pub mod process;
pub mod runtime;
pub mod seeding;
pub mod setup;
pub mod shop;
pub mod signals;
pub mod telemetry;
pub mod terminal;
pub mod up;
