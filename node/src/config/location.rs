//! Parsing the file so that an error knows its line, column and field.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Config;
use super::error::{ConfigError, Place};

/// Parses the `text` of the file at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let refused = |error: &toml::de::Error, field: Option<String>| ConfigError::File {
        place: Place {
            path: path.to_path_buf(),
            position: error.span().map(|span| position(text, &span)),
            field,
        },
        message: error.message().to_owned(),
    };
    let document = toml::Deserializer::parse(text).map_err(|error| refused(&error, None))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let field = error.path().to_string();
        let field = (field != ".").then_some(field);
        refused(error.inner(), field)
    })
}

/// Finds where `field`, such as `membership.heartbeat` or `nodes[1].name`,
/// stands in `text`; its section, if the field itself is not written.
pub(super) fn of_field(path: &Path, text: &str, field: &str) -> Place {
    Place {
        path: path.to_path_buf(),
        position: span_of(text, field).map(|span| position(text, &span)),
        field: Some(field.to_owned()),
    }
}

fn span_of(text: &str, field: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut table = root.get_ref();
    let mut segments = field.split('.').peekable();
    while let Some(segment) = segments.next() {
        let (key, index) = split_index(segment);
        let mut value = table.get(key)?;
        if let Some(index) = index {
            value = value.get_ref().get(index)?;
        }
        found = Some(value.span());
        match value.get_ref() {
            DeValue::Table(inner) if segments.peek().is_some() => {
                let next = segments.peek().map(|next| split_index(next).0)?;
                if !inner.contains_key(next) {
                    return found;
                }
                table = inner;
            }
            _ => return found,
        }
    }
    found
}

/// Splits `nodes[1]` into `nodes` and 1.
fn split_index(segment: &str) -> (&str, Option<usize>) {
    match segment.split_once('[') {
        Some((key, rest)) => (key, rest.trim_end_matches(']').parse().ok()),
        None => (segment, None),
    }
}

/// Turns a byte range into line and column, both from 1.
fn position(text: &str, span: &Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() + 1;
    (line, column)
}
