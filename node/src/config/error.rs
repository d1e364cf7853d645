//! What is wrong with the settings, and where to put it right.

use std::fmt;
use std::path::PathBuf;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not parse, or holds a field or value that does not fit.
    #[error("{place}: {message}")]
    File {
        /// Where in the file.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// A variable names no setting, or its value does not fit.
    #[error("{variable}: {message}")]
    Variable {
        /// The variable's name.
        variable: String,
        /// What is wrong; never the value, which may be a secret.
        message: String,
    },
    /// Every value fits its type, and some break a rule.
    #[error("{}", lines(.0))]
    Rules(Vec<Violation>),
    /// The settings cannot be written as TOML.
    #[error("the settings cannot be written as TOML")]
    Unprintable(#[source] toml::ser::Error),
}

/// A place in a file: line and column from 1, and the field there if known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1; `None` for a field the file does not hold.
    pub position: Option<(usize, usize)>,
    /// The field's path, such as `nodes[1].name`.
    pub field: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        Ok(())
    }
}

/// A rule that the settings break, and where the value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The value is the file's, or a default that another value contradicts.
    InFile(Place, String),
    /// The value is this variable's.
    InVariable(String, String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFile(place, message) => write!(f, "{place}: {message}"),
            Self::InVariable(variable, message) => write!(f, "{variable}: {message}"),
        }
    }
}

fn lines(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
