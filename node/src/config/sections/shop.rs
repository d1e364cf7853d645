//! What the shop does with orders and entities, and how they become durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_domain::PaymentProvider;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;

/// `[orders]`: orders and how they are paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// How long an unpaid order holds its stock.
    #[serde(with = "humantime_serde")]
    pub payment_deadline: Duration,
    /// The providers that may be used.
    pub payment_providers: Vec<PaymentProvider>,
    /// The secrets under which providers sign what they report of payments; one
    /// that has none here and in no file cannot.
    pub payment_webhook_secrets: BTreeMap<PaymentProvider, Secret>,
    /// Files that hold more of them, each a line. All are accepted.
    pub payment_webhook_secret_files: BTreeMap<PaymentProvider, PathBuf>,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            payment_deadline: Duration::from_mins(15),
            payment_providers: vec![PaymentProvider::Manual, PaymentProvider::Test],
            payment_webhook_secrets: BTreeMap::new(),
            payment_webhook_secret_files: BTreeMap::new(),
        }
    }
}

/// `[lane]`: group commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaneSettings {
    /// Intents in one commit.
    pub max_batch: usize,
    /// Intents that may wait for the next commit.
    pub max_waiting: usize,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            max_batch: 256,
            max_waiting: 8192,
        }
    }
}

/// `[entities]`: entities held in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntitySettings {
    /// Entities of one node; above it the least recently used ones leave.
    pub max_resident: usize,
    /// Idleness after which an entity leaves memory.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// Requests to one entity that may be unanswered at a time.
    pub max_in_flight: u32,
}

impl Default for EntitySettings {
    fn default() -> Self {
        Self {
            max_resident: 20_000,
            idle_after: Duration::from_mins(5),
            max_in_flight: 1024,
        }
    }
}

/// `[postgres]`: the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresSettings {
    /// The server; `holdfast up` runs one of its own if absent. Also
    /// `HOLDFAST_DATABASE_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds the URL, such as a mounted secret; read if there is
    /// no URL otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Connections of one node's pool.
    pub max_connections: u32,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            max_connections: 16,
        }
    }
}
