//! Clusters, people and their requests.

mod answer;
mod cluster;
pub(crate) mod launched;
mod listener;
pub(crate) mod mailbox;
mod nats;
mod person;
mod provider;
mod scrape;
mod wait;

pub(crate) use answer::Answer;
pub(crate) use cluster::Cluster;
pub(crate) use listener::Listener;
pub(crate) use nats::NatsServer;
pub(crate) use person::{PASSWORD, Person, order, product};
pub(crate) use provider::Provider;
pub(crate) use scrape::Scrape;
pub(crate) use wait::{eventually, patiently};

/// Makes an idempotency key that nobody has used.
pub(crate) fn random_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}
