//! One member of a JSON merge patch (RFC 7396): absent, null or a value.

use holdfast_domain::FieldError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a merge patch does to one member.
///
/// Fields of this type carry `#[serde(default, skip_serializing_if = "Patch::is_keep")]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    /// Absent: leaves it.
    #[default]
    Keep,
    /// Null: removes it.
    Clear,
    /// A value: replaces it.
    Set(T),
}

impl<T> Patch<T> {
    /// Tells whether the member is absent.
    pub(crate) fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Returns the new value of a member that every resource has.
    ///
    /// # Errors
    /// The member at `field` was to be removed.
    pub(crate) fn into_value(self, field: &str) -> Result<Option<T>, FieldError> {
        match self {
            Self::Keep => Ok(None),
            Self::Clear => Err(FieldError::new(field, "must not be null")),
            Self::Set(value) => Ok(Some(value)),
        }
    }

    /// Returns the change to an optional member: `Some(None)` removes it.
    #[expect(clippy::option_option, reason = "the domain's edits say it so")]
    pub(crate) fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Body {
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        note: Patch<String>,
    }

    #[test]
    fn absent_null_and_a_value_are_three_things_and_survive_the_trip() {
        for (json, note) in [
            ("{}", Patch::Keep),
            (r#"{"note":null}"#, Patch::Clear),
            (r#"{"note":"x"}"#, Patch::Set("x".to_owned())),
        ] {
            let body = Body { note };
            assert_eq!(serde_json::from_str::<Body>(json).expect("JSON"), body);
            assert_eq!(serde_json::to_string(&body).expect("JSON"), json);
        }
    }
}
