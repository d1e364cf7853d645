//! Where events, mail and traces go.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;

/// `[nats]`: where events go. Without a URL they stay in the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// The servers, divided by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Holds the credentials, as `nsc` writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The authority that signs the servers' certificates, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The stream, which is made if it is missing.
    pub stream: String,
    /// What subjects begin with.
    pub prefix: String,
    /// How many servers keep the stream.
    pub replicas: usize,
    /// For how long the stream keeps events.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: None,
            credentials_file: None,
            ca_file: None,
            stream: "HOLDFAST".to_owned(),
            prefix: "holdfast".to_owned(),
            replicas: 1,
            max_age: Duration::from_hours(7 * 24),
        }
    }
}

/// `[mail]`: what is written to customers and sellers. Off unless a relay or a
/// spool is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailSettings {
    /// Who mail is from, as `name@example.com` or `Name <name@example.com>`.
    pub from: String,
    /// The relay; may hold a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_url: Option<Secret>,
    /// Holds the password of the user in `smtp_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_password_file: Option<PathBuf>,
    /// An authority that signed the relay's certificate, besides those of the
    /// system, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_ca: Option<PathBuf>,
    /// How long each step of a conversation with the relay may take.
    #[serde(with = "humantime_serde")]
    pub smtp_timeout: Duration,
    /// Where mail is written instead, a file each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_dir: Option<PathBuf>,
    /// Files that the spool may hold; while there are more, mail waits.
    pub spool_max: usize,
    /// How often a mail is tried before it becomes a dead letter.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest pause.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            from: "Holdfast <holdfast@localhost>".to_owned(),
            smtp_url: None,
            smtp_password_file: None,
            smtp_ca: None,
            smtp_timeout: Duration::from_secs(10),
            spool_dir: None,
            spool_max: 100_000,
            attempts: 20,
            retry_first: Duration::from_secs(2),
            retry_max: Duration::from_mins(10),
        }
    }
}

/// `[telemetry]`: where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// A collector that takes OTLP over HTTP, such as `http://localhost:4318`;
    /// no spans are exported if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// The share of traces that is exported, from 0 to 1. A trace's id decides,
    /// so that all nodes export the same ones.
    pub sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sample_ratio: 0.1,
        }
    }
}
