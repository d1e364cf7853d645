//! What a deserialiser says about a field, in the words of this API.
//!
//! Only the wording is decided here: that it is a field error, and of which field's value, is known
//! before. A message in no known form gets a general one, so that no internal name can leak.

use holdfast_domain::FieldError;

use super::json::escape;

/// Words a deserialiser's message about the value at `path`.
pub(super) fn field_error(path: String, message: &str) -> FieldError {
    // serde_json appends " at line L column C".
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return FieldError::new(member(path, rest), "is not a field of this request");
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return FieldError::new(member(path, rest), "is required");
    }
    if let Some(rest) = message.strip_prefix("duplicate field ") {
        return FieldError::new(member(path, rest), "is given twice");
    }
    FieldError::new(path, about_value(message))
}

/// Appends the member that stands between backticks, unless the path ends with it.
fn member(path: String, quoted: &str) -> String {
    match quoted.split('`').nth(1).map(escape) {
        Some(name) if !path.ends_with(&format!("/{name}")) => format!("{path}/{name}"),
        _ => path,
    }
}

fn about_value(message: &str) -> String {
    let expected = message.split_once(", expected ").map(|(_, expected)| expected);
    match expected {
        Some(number) if is_integer(number) && message.starts_with("invalid value: integer") => {
            "is out of range".to_owned()
        }
        Some(number) if is_integer(number) => "must be a whole number".to_owned(),
        Some("a sequence") => "must be an array".to_owned(),
        Some("a map") => "must be an object".to_owned(),
        Some(known @ ("an object" | "a string" | "a boolean")) => format!("must be {known}"),
        _ if message.starts_with("UUID parsing failed") => "must be a UUID".to_owned(),
        _ => "is not acceptable here".to_owned(),
    }
}

fn is_integer(name: &str) -> bool {
    matches!(
        name,
        "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "a nonzero u32"
    )
}
