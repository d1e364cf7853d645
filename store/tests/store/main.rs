//! The store against a real Postgres: what the constraints and the functions promise.

mod accounts;
mod audit;
mod catalogue;
mod cluster;
mod conflicts;
mod connections;
mod consumers;
mod draft;
mod feed;
mod fence;
mod hardship;
mod lane;
mod migrations;
mod model;
mod orders;
mod plans;
mod seed;
mod sessions;
mod shop;
mod told;
mod weakened;
