//! A JSON object of a client's own, kept as text.
//!
//! Product attributes and addresses are the client's data: stored and returned, never interpreted.
//! Text is what crosses the link, because the link's format cannot carry self-describing values.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// A JSON object, held as its compact text. Two are equal if they say the same, in whatever order.
#[derive(Clone, Debug)]
pub struct JsonObject(String);

impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || matches!((self.read(), other.read()), (Ok(one), Ok(two)) if one == two)
    }
}

impl Eq for JsonObject {}

/// Text that was not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct NotAnObject;

impl JsonObject {
    /// Makes the object `{}`.
    pub fn empty() -> Self {
        Self("{}".to_owned())
    }

    /// Parses text that must be a JSON object.
    pub fn parse(text: &str) -> Result<Self, NotAnObject> {
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|_| NotAnObject)?;
        Ok(Self::from(map))
    }

    /// Makes the object that `value` is as JSON.
    pub fn of(value: &impl Serialize) -> Result<Self, NotAnObject> {
        match serde_json::to_string(value) {
            Ok(text) if text.starts_with('{') => Ok(Self(text)),
            _ => Err(NotAnObject),
        }
    }

    /// Returns the compact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the object as a map.
    pub fn to_map(&self) -> Map<String, Value> {
        self.read().unwrap_or_default()
    }

    fn read(&self) -> serde_json::Result<Map<String, Value>> {
        serde_json::from_str(&self.0)
    }
}

impl JsonObject {
    /// Applies a merge patch (RFC 7396): members that are null are removed, objects are merged.
    pub fn merged(&self, patch: &Self) -> Self {
        let mut target = Value::Object(self.to_map());
        merge(&mut target, Value::Object(patch.to_map()));
        match target {
            Value::Object(map) => Self::from(map),
            _ => Self::empty(),
        }
    }
}

/// Merges `patch` into `target`; depth is bounded by the parser that made `patch`.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(members) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(map) = target {
        for (name, value) in members {
            if value.is_null() {
                map.remove(&name);
            } else {
                merge(map.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

impl Default for JsonObject {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(map: Map<String, Value>) -> Self {
        Self(Value::Object(map).to_string())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.to_map().serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Map::deserialize(deserializer).map(Self::from)
        } else {
            Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}
