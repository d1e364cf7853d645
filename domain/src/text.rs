//! Bounded text: what clients write that the shop stores.

use serde_json::Value;

use crate::FieldError;

/// The longest name of a product, in characters.
pub const NAME_MAX_CHARS: usize = 200;
/// The longest description of a product, in characters.
pub const DESCRIPTION_MAX_CHARS: usize = 20_000;
/// The longest reason of an adjustment of stock, in characters.
pub const ADJUSTMENT_REASON_MAX_CHARS: usize = 200;
/// The longest note, or reason of a cancellation, in characters.
pub const NOTE_MAX_CHARS: usize = 2_000;
/// The largest free-form object (attributes, an address), in bytes of compact JSON.
pub const OBJECT_MAX_BYTES: usize = 16_384;
/// How deep a free-form object may be: one of scalars is 1 deep. Documents that hold it, as events do, are
/// deeper, and JSON that is deeper than 127 is not read.
pub const OBJECT_MAX_DEPTH: usize = 32;

/// Checks that `text` has between `min` and `max` characters and none that Postgres cannot store.
pub fn check(field: &str, text: &str, min: usize, max: usize) -> Result<(), FieldError> {
    let chars = text.chars().count();
    if chars < min || chars > max {
        return Err(FieldError::new(
            field,
            format!("must have {min} to {max} characters, has {chars}"),
        ));
    }
    if text.contains('\0') {
        return Err(FieldError::new(field, "must not contain a NUL character"));
    }
    Ok(())
}

/// Checks a free-form JSON object's size and depth, and that it has no NUL character.
pub fn check_object(field: &str, object: &crate::JsonObject) -> Result<(), FieldError> {
    let text = object.as_str();
    if text.len() > OBJECT_MAX_BYTES {
        let bytes = text.len();
        return Err(FieldError::new(
            field,
            format!("must be at most {OBJECT_MAX_BYTES} bytes of JSON, is {bytes}"),
        ));
    }
    let value = Value::Object(object.to_map());
    if is_deeper_than(OBJECT_MAX_DEPTH, &value) {
        return Err(FieldError::new(
            field,
            format!("must be at most {OBJECT_MAX_DEPTH} objects and arrays deep"),
        ));
    }
    if has_nul(&value) {
        return Err(FieldError::new(field, "must not contain a NUL character"));
    }
    Ok(())
}

/// Tells whether a value has more than `depth` objects and arrays within each other.
fn is_deeper_than(depth: usize, value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if depth == 0 => true,
        Value::Array(values) => values.iter().any(|inner| is_deeper_than(depth - 1, inner)),
        Value::Object(members) => members.values().any(|inner| is_deeper_than(depth - 1, inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Tells whether a value has a NUL character, which jsonb refuses. Its parser has bounded the depth.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JsonObject;

    #[test]
    fn an_object_is_as_deep_as_it_may_be_and_no_deeper() {
        let nested = |depth: usize| format!("{}{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
        let check = |text: &str| check_object("/attributes", &JsonObject::parse(text).expect("an object"));
        // Each repeat is two deep.
        assert!(check(&nested(OBJECT_MAX_DEPTH / 2)).is_ok());
        let error = check(&nested(OBJECT_MAX_DEPTH / 2 + 1)).expect_err("too deep");
        assert!(error.message.contains("32"), "{error:?}");
        assert!(check(r#"{"a":1}"#).is_ok());
    }

    #[test]
    fn a_nul_is_refused_wherever_it_hides_and_its_escape_spelt_out_is_not() {
        let check = |text| check_object("/attributes", &JsonObject::parse(text).expect("an object"));
        assert!(check(r#"{"a":[{"b":"\u0000"}]}"#).is_err());
        assert!(check(r#"{"\u0000":1}"#).is_err());
        assert!(check(r#"{"a":"\\u0000"}"#).is_ok());
    }
}
