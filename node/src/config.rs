//! Settings: `cluster.toml`, overridden by the environment, in one typed tree.
//!
//! Every setting has a default, so an absent file is a valid one. A setting
//! `[section] key` is overridden by `HOLDFAST_<SECTION>__<KEY>`; the type its
//! default has decides how the variable's text is read.
//!
//! Invariant: a [`Config`] that was loaded has passed every rule in
//! [`rules`], and whatever was refused was refused by naming the place the
//! operator has to edit: file, line and field, or the variable.

mod environment;
mod error;
mod location;
mod nodes;
mod rates;
mod rules;
mod secret;
mod sections;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use environment::Variables;
pub use error::{ConfigError, Violation};
pub use nodes::{NodeSettings, Role};
pub use rates::RateSettings;
pub(crate) use rules::WEBHOOK_SECRET_MIN_CHARS;
pub use secret::Secret;
pub use sections::{
    AuthSettings, CacheSettings, ClusterSettings, EntitySettings, EventSettings, HttpSettings, LaneSettings,
    LimitSettings, LinkSettings, MailSettings, MembershipSettings, NatsSettings, OrderSettings,
    PostgresSettings, TelemetrySettings, TimeoutSettings,
};

/// Everything a cluster can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What all nodes share.
    pub cluster: ClusterSettings,
    /// How long starting and stopping may take.
    pub timeouts: TimeoutSettings,
    /// The edge.
    pub http: HttpSettings,
    /// Tokens and passwords.
    pub auth: AuthSettings,
    /// Orders and how they are paid.
    pub orders: OrderSettings,
    /// Admission.
    pub limits: LimitSettings,
    /// What edges keep.
    pub cache: CacheSettings,
    /// Streams of events.
    pub events: EventSettings,
    /// Group commit.
    pub lane: LaneSettings,
    /// Entities held in memory.
    pub entities: EntitySettings,
    /// Failure detection.
    pub membership: MembershipSettings,
    /// The database.
    pub postgres: PostgresSettings,
    /// Where events go.
    pub nats: NatsSettings,
    /// Traffic between nodes.
    pub link: LinkSettings,
    /// Mail to customers and sellers.
    pub mail: MailSettings,
    /// Where traces go.
    pub telemetry: TelemetrySettings,
    /// The nodes, in order.
    pub nodes: Vec<NodeSettings>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: ClusterSettings::default(),
            timeouts: TimeoutSettings::default(),
            http: HttpSettings::default(),
            auth: AuthSettings::default(),
            orders: OrderSettings::default(),
            limits: LimitSettings::default(),
            cache: CacheSettings::default(),
            events: EventSettings::default(),
            lane: LaneSettings::default(),
            entities: EntitySettings::default(),
            membership: MembershipSettings::default(),
            postgres: PostgresSettings::default(),
            nats: NatsSettings::default(),
            link: LinkSettings::default(),
            mail: MailSettings::default(),
            telemetry: TelemetrySettings::default(),
            nodes: ["n1", "n2", "n3"].map(NodeSettings::named).into(),
        }
    }
}

impl Config {
    /// The file that is read when none is named.
    pub const DEFAULT_FILE: &'static str = "cluster.toml";

    /// Loads `file`, or [`Self::DEFAULT_FILE`] if there is one, or the
    /// defaults; then applies this process's environment.
    ///
    /// # Errors
    /// A file that was named must exist. Anything that does not parse, or that
    /// breaks a rule, is refused whole.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = Self::locate(file);
        let text = match &file {
            Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.clone(),
                source,
            })?,
            None => String::new(),
        };
        let path = file.unwrap_or_else(|| PathBuf::from(Self::DEFAULT_FILE));
        Self::from_parts(&path, &text, &Variables::from_process())?.with_url_of_file()
    }

    /// Takes the database's URL from the file that holds it, unless it is known.
    fn with_url_of_file(mut self) -> Result<Self, ConfigError> {
        if let (None, Some(path)) = (&self.postgres.url, &self.postgres.url_file) {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.clone(),
                source,
            })?;
            self.postgres.url = Some(Secret::new(text.trim()));
        }
        Ok(self)
    }

    /// Names the file that [`Self::load`] reads, if it reads one.
    pub fn locate(file: Option<&Path>) -> Option<PathBuf> {
        file.map(Path::to_path_buf).or_else(|| {
            let default = PathBuf::from(Self::DEFAULT_FILE);
            default.is_file().then_some(default)
        })
    }

    /// Builds the settings from the `text` of the file at `path` and from
    /// `variables`. `path` is used in messages alone.
    pub fn from_parts(path: &Path, text: &str, variables: &Variables) -> Result<Self, ConfigError> {
        // The file by itself first: its errors then carry line and column,
        // which the merged table no longer has.
        let written = location::parse(path, text)?;
        let config = if variables.is_empty() {
            written
        } else {
            variables.apply(text)?
        };
        let violations: Vec<Violation> = rules::check(&config)
            .into_iter()
            .map(|rule| {
                if let Some(variable) = variables.setting(&rule.field) {
                    rule.at_variable(variable)
                } else {
                    let place = location::of_field(path, text, &rule.field);
                    rule.at(place)
                }
            })
            .collect();
        if violations.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Rules(violations))
        }
    }

    /// Writes the effective settings as TOML, secrets redacted.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self).map_err(ConfigError::Unprintable)
    }

    /// Finds the settings of the node called `name`.
    pub fn node(&self, name: &str) -> Option<&NodeSettings> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

#[cfg(test)]
mod tests;
