//! The fields of spans in JSON lines.

use std::fmt;

use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, JsonFields, Writer};

/// Fields of spans as one JSON object. What is noted of a span later is put
/// behind what is there, where [`JsonFields`] reads all of it and writes it anew,
/// twice for every request.
#[derive(Debug, Default)]
pub(super) struct SpanFields(JsonFields);

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut added = String::new();
        self.0.format_fields(Writer::new(&mut added), fields)?;
        append(&mut current.fields, &added);
        Ok(())
    }
}

/// Appends the members of one JSON object to another. No name is in both: a
/// span's field is noted once, when it is made or later.
fn append(object: &mut String, added: &str) {
    let members = added.strip_prefix('{').unwrap_or_default();
    if members.is_empty() || members == "}" {
        return;
    }
    if object.pop().is_none_or(|last| last != '}') || object.is_empty() {
        added.clone_into(object);
        return;
    }
    if object.len() > 1 {
        object.push(',');
    }
    object.push_str(members);
}

#[cfg(test)]
mod tests {
    use super::append;

    fn appended(object: &str, added: &str) -> String {
        let mut object = object.to_owned();
        append(&mut object, added);
        object
    }

    #[test]
    fn what_is_noted_later_stands_behind_what_was_there() {
        assert_eq!(appended(r#"{"a":1}"#, r#"{"b":2}"#), r#"{"a":1,"b":2}"#);
        assert_eq!(appended("{}", r#"{"b":2}"#), r#"{"b":2}"#);
        assert_eq!(appended("", r#"{"b":2}"#), r#"{"b":2}"#);
        assert_eq!(appended(r#"{"a":1}"#, "{}"), r#"{"a":1}"#);
        assert_eq!(appended(r#"{"a":1}"#, ""), r#"{"a":1}"#);
    }
}
