//! The wire format: one version byte, then bincode.
//!
//! Everything that one node says to another passes through [`encode`] and [`decode`]. Both are
//! total: any value and any bytes give an answer or a [`WireError`], never a panic and never an
//! allocation out of proportion to [`MAX_FRAME_BYTES`]. This is the only file that names bincode, so
//! replacing the codec is a change to one file and one version byte.
//!
//! **What may change without a new version.** Enums may grow variants at their end, provided the
//! older release is never sent one that it does not know: `Request::since` says which version a
//! request came with. Anything else - a field added, removed
//! or reordered - needs a new version, and the release that introduces it must go on speaking the
//! version before, because two adjacent releases run side by side during an upgrade.
//! The golden bytes in the tests exist to make such a change visible.
//!
//! | version | since it |
//! |---|---|
//! | 1 | requests and answers are frames, each a message of its own |
//! | 2 | they also travel in [batches](encode_batch); the frames in them still open with 1. Payments that
//! |   | are named, and budgets of webhooks |
//!
//! A node tells its peers the newest version that it reads, and is sent nothing newer.

mod batch;
mod envelope;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub use batch::{MAX_BATCH_BYTES, Parcel, decode_batch, encode_batch};
pub use envelope::{
    Header, RemoteError, Reply, decode_envelope, decode_reply, encode_envelope, encode_reply,
};

/// The oldest version that this release speaks. It opens every frame.
pub const OLDEST_VERSION: u8 = 1;

/// The newest version that this release speaks. It opens every batch.
pub const NEWEST_VERSION: u8 = 2;

/// In the place of a service's number: the envelope holds a message to the node itself.
pub const TO_THE_NODE: u8 = u8::MAX;

/// The longest frame, version byte included, in bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// How many bytes a value may claim while it is decoded. bincode counts an integer by the size of
/// its type, up to sixteen bytes, where the frame may hold a single one; so a frame's worth of
/// small integers claims this much, and no honest frame claims more.
const MAX_CLAIMED_BYTES: usize = 16 * MAX_FRAME_BYTES;

/// Little-endian, variable-length integers, and no claim beyond the limit is believed.
const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_CLAIMED_BYTES>,
> = bincode::config::standard().with_limit::<MAX_CLAIMED_BYTES>();

/// Why a value could not be put on the wire, or bytes could not be taken off it.
#[derive(Debug, Error)]
pub enum WireError {
    /// The frame holds no bytes at all.
    #[error("the frame is empty")]
    Empty,
    /// The frame opens with another version than such frames have.
    #[error("wire version {found} is not supported, expected {expected}")]
    Version {
        /// The version byte found.
        found: u8,
        /// The version byte that this release reads there.
        expected: u8,
    },
    /// The frame is longer than [`MAX_FRAME_BYTES`], or the batch than [`MAX_BATCH_BYTES`].
    #[error("the frame or batch is too long")]
    TooLarge,
    /// The value ended before the frame did.
    #[error("{count} bytes trail the value")]
    Trailing {
        /// How many bytes were left over.
        count: usize,
    },
    /// The bytes are not an encoding of the expected type.
    #[error("malformed frame")]
    Malformed(#[source] bincode::error::DecodeError),
    /// The value has a shape that the format cannot express.
    #[error("the value cannot be encoded")]
    Unencodable(#[source] bincode::error::EncodeError),
}

/// Encodes `value` behind the version byte.
///
/// # Errors
/// [`WireError::TooLarge`] as soon as the frame would pass [`MAX_FRAME_BYTES`].
/// [`WireError::Unencodable`] if the type cannot be expressed in the format.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, WireError> {
    encode_as(OLDEST_VERSION, MAX_FRAME_BYTES, value)
}

fn encode_as<T: Serialize + ?Sized>(version: u8, limit: usize, value: &T) -> Result<Vec<u8>, WireError> {
    let mut frame = Frame {
        bytes: vec![version],
        limit,
        overflowed: false,
    };
    match bincode::serde::encode_into_writer(value, &mut frame, CONFIG) {
        Ok(()) => Ok(frame.bytes),
        Err(_) if frame.overflowed => Err(WireError::TooLarge),
        Err(error) => Err(WireError::Unencodable(error)),
    }
}

/// Decodes one value that fills `frame` exactly.
///
/// # Errors
/// [`WireError::Empty`], [`WireError::Version`] and [`WireError::TooLarge`] before the payload is
/// looked at; [`WireError::Malformed`] or [`WireError::Trailing`] if it is not one `T`.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, WireError> {
    decode_as(OLDEST_VERSION, MAX_FRAME_BYTES, frame)
}

fn decode_as<T: DeserializeOwned>(expected: u8, limit: usize, frame: &[u8]) -> Result<T, WireError> {
    if frame.len() > limit {
        return Err(WireError::TooLarge);
    }
    let (&found, payload) = frame.split_first().ok_or(WireError::Empty)?;
    if found != expected {
        return Err(WireError::Version { found, expected });
    }
    let (value, read) = bincode::serde::decode_from_slice(payload, CONFIG).map_err(WireError::Malformed)?;
    match payload.len() - read {
        0 => Ok(value),
        count => Err(WireError::Trailing { count }),
    }
}

/// Grows with what is written, and refuses to pass the limit: an oversized value costs at most one
/// frame of memory, not its own size.
struct Frame {
    bytes: Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl bincode::enc::write::Writer for Frame {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if bytes.len() > self.limit - self.bytes.len() {
            self.overflowed = true;
            return Err(bincode::error::EncodeError::UnexpectedEnd);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
