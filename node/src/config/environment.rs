//! Settings from the environment: `HOLDFAST_<SECTION>__<KEY>`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;
use super::error::ConfigError;

const PREFIX: &str = "HOLDFAST_";
/// Separates section from key; a single underscore may be part of either.
const SEPARATOR: &str = "__";
/// The name every Postgres tool's user expects; the same as the setting
/// `postgres.url`.
const DATABASE_URL: &str = "HOLDFAST_DATABASE_URL";
const DATABASE_URL_FIELD: &str = "postgres.url";

/// The variables that override settings, by the field they override.
#[derive(Clone, Default)]
pub struct Variables {
    by_field: BTreeMap<String, Variable>,
}

#[derive(Clone)]
struct Variable {
    name: String,
    text: String,
}

impl Variables {
    /// Collects them from this process's environment.
    ///
    /// A variable that is not Unicode is passed over: no setting's name is.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect()
    }

    /// Tells whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        self.by_field.is_empty()
    }

    /// Names the variable that sets `field`, if one does.
    pub(super) fn setting(&self, field: &str) -> Option<&str> {
        self.by_field.get(field).map(|variable| variable.name.as_str())
    }

    /// Lays the variables over the file's `text`, which has parsed before.
    pub(super) fn apply(&self, text: &str) -> Result<Config, ConfigError> {
        let mut settings: Table = toml::from_str(text).map_err(|error| ConfigError::Variable {
            variable: PREFIX.to_owned(),
            message: error.message().to_owned(),
        })?;
        let shape = Table::try_from(Config::default()).map_err(ConfigError::Unprintable)?;
        for (field, variable) in &self.by_field {
            let (section, key) = field.split_once('.').unwrap_or((field, ""));
            let shape_of_section = match shape.get(section) {
                Some(Value::Table(table)) => table,
                Some(_) => return Err(variable.refuse(format!("`{section}` is a list; set it in the file"))),
                None => return Err(variable.refuse(format!("there is no section `{section}`"))),
            };
            let value = variable.read_as(shape_of_section.get(key))?;
            let overridden = settings
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(table) = overridden {
                table.insert(key.to_owned(), value);
            }
        }
        serde_path_to_error::deserialize(Value::Table(settings)).map_err(|error| {
            let path = error.path().to_string();
            // The file has parsed by itself, so the culprit is a variable; a
            // value inside a list or a table has that one's variable to blame.
            let field = path.split('[').next().unwrap_or_default();
            let end = field.match_indices('.').nth(1).map_or(field.len(), |(at, _)| at);
            let field = &field[..end];
            let message = error.inner().message().to_owned();
            match self.by_field.get(field) {
                Some(variable) => variable.refuse(message),
                None => ConfigError::Variable {
                    variable: format!("{PREFIX}{}", field.replace('.', SEPARATOR).to_uppercase()),
                    message,
                },
            }
        })
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let by_field = variables
            .into_iter()
            .filter_map(|(name, text)| {
                let field = field_of(&name)?;
                Some((field, Variable { name, text }))
            })
            .collect();
        Self { by_field }
    }
}

/// Turns `HOLDFAST_HTTP__BODY_LIMIT` into `http.body_limit`.
fn field_of(name: &str) -> Option<String> {
    if name == DATABASE_URL {
        return Some(DATABASE_URL_FIELD.to_owned());
    }
    let (section, key) = name.strip_prefix(PREFIX)?.split_once(SEPARATOR)?;
    Some(format!("{section}.{key}").to_lowercase())
}

impl Variable {
    /// Reads the text as the type that `default` has. A setting without a
    /// default is text: a path, an address or a secret.
    fn read_as(&self, default: Option<&Value>) -> Result<Value, ConfigError> {
        let text = self.text.trim();
        match default {
            Some(Value::Boolean(_)) => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(self.refuse("expected true or false")),
            },
            Some(Value::Integer(_)) => text
                .replace('_', "")
                .parse()
                .map(Value::Integer)
                .map_err(|_| self.refuse("expected a whole number")),
            Some(Value::Float(_)) => text
                .parse()
                .map(Value::Float)
                .map_err(|_| self.refuse("expected a number")),
            Some(Value::Table(_)) => toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut table| table.remove("value"))
                .filter(Value::is_table)
                .ok_or_else(|| self.refuse("expected a table such as { key = 1 }")),
            Some(Value::Array(_)) => Ok(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            )),
            _ => Ok(Value::String(self.text.clone())),
        }
    }

    fn refuse(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::Variable {
            variable: self.name.clone(),
            message: message.into(),
        }
    }
}
