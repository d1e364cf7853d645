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

/// Checks a free-form JSON object's size and that it has no NUL character.
pub fn check_object(field: &str, object: &crate::JsonObject) -> Result<(), FieldError> {
    let text = object.as_str();
    if text.len() > OBJECT_MAX_BYTES {
        let bytes = text.len();
        return Err(FieldError::new(
            field,
            format!("must be at most {OBJECT_MAX_BYTES} bytes of JSON, is {bytes}"),
        ));
    }
    if has_nul(&Value::Object(object.to_map())) {
        return Err(FieldError::new(field, "must not contain a NUL character"));
    }
    Ok(())
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
    fn a_nul_is_refused_wherever_it_hides_and_its_escape_spelt_out_is_not() {
        let check = |text| check_object("/attributes", &JsonObject::parse(text).expect("an object"));
        assert!(check(r#"{"a":[{"b":"\u0000"}]}"#).is_err());
        assert!(check(r#"{"\u0000":1}"#).is_err());
        assert!(check(r#"{"a":"\\u0000"}"#).is_ok());
    }
}
