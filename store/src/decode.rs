//! Columns to domain values and back, where Postgres spells them otherwise.

use std::{fmt::Display, str::FromStr};

use holdfast_domain::Timestamp;
use serde::Serialize;
use time::{OffsetDateTime, macros::datetime};

use crate::StoreError;

/// The last moment that is written.
const END_OF_TIME: OffsetDateTime = datetime!(9999-12-31 23:59:59.999999 UTC);

/// Converts to what binds to `timestamptz`; later moments than the year 9999 are held at its end.
pub(crate) fn instant(at: Timestamp) -> OffsetDateTime {
    at.to_offset_date_time().unwrap_or(END_OF_TIME)
}

/// Writes a value as JSON text, which the statement casts to `jsonb`.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Rejected(sqlx::Error::Encode(error.into())))
}

/// Parses the text of a column.
pub(crate) fn parsed<T: FromStr<Err: Display>>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|error| StoreError::corrupt(format_args!("{column} {text:?}: {error}")))
}

/// Converts a count, which the schema keeps from being negative.
pub(crate) fn count<N: TryInto<u32> + Display + Copy>(column: &str, n: N) -> Result<u32, StoreError> {
    n.try_into()
        .map_err(|_| StoreError::corrupt(format_args!("{column} is {n}")))
}

/// Converts a SHA-256.
pub(crate) fn sha256(column: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::corrupt(format_args!("{column} has {} bytes", bytes.len())))
}
