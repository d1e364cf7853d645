//! What travels in a frame: a request is a [`Header`] and a body, an answer is a [`Reply`].
//!
//! Bodies are opaque here. Each operation encodes its own arguments, so that a gateway can route a
//! request by its header without knowing what is asked.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

use super::{WireError, decode, encode};

/// What every request carries beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Header {
    /// Names this message, for logs and traces.
    pub message_id: Uuid,
    /// Names the mutation that the message asks for, the same on every retry; none for a read.
    pub operation_id: Option<Uuid>,
    /// The W3C trace context of the caller.
    pub traceparent: Option<String>,
    /// How long the caller will still wait, in milliseconds. Remaining time, not an instant: the
    /// clocks of two nodes need not agree.
    pub budget_ms: u32,
    /// How many times the request has been passed on already.
    pub hops: u8,
    /// The version of the cluster map that the sender routed by.
    pub map_version: i64,
    /// Which service the shard belongs to.
    pub service: u8,
    /// The shard that the request is about.
    pub shard: u8,
    /// The epoch at which the sender believes that shard to be owned.
    pub epoch: i64,
}

/// Why a node did not answer a request.
///
/// None of these is a refusal by the shop's rules: those are answers and travel in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, Error)]
pub enum RemoteError {
    /// The node does not own the shard; nothing was done.
    #[error("not the owner of the shard at epoch {epoch}")]
    NotOwner {
        /// The owner's incarnation, if the node knows it.
        owner: Option<Uuid>,
        /// The newest epoch of the shard that the node knows.
        epoch: i64,
    },
    /// The node has no room for the request; nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// The budget ran out; whether anything was done is unknown.
    #[error("deadline exceeded")]
    Deadline,
    /// The node is leaving and takes no new work; nothing was done.
    #[error("draining")]
    Draining,
    /// The handler failed; whether anything was done is unknown.
    #[error("internal error on the remote node")]
    Internal,
}

/// What comes back for a request: the operation's own answer in bytes, or the reason for none.
pub type Reply = Result<Vec<u8>, RemoteError>;

/// Encodes a request.
///
/// # Errors
/// [`WireError::TooLarge`] if header and body do not fit in one frame.
pub fn encode_envelope(header: &Header, body: &[u8]) -> Result<Vec<u8>, WireError> {
    encode(&(header, Bytes(body)))
}

/// Decodes a request into its header and its body.
///
/// # Errors
/// As [`decode`].
pub fn decode_envelope(frame: &[u8]) -> Result<(Header, Vec<u8>), WireError> {
    let (header, Buffer(body)) = decode(frame)?;
    Ok((header, body))
}

/// Encodes an answer.
///
/// # Errors
/// [`WireError::TooLarge`] if the answer does not fit in one frame; a [`RemoteError`] always does.
pub fn encode_reply(reply: &Reply) -> Result<Vec<u8>, WireError> {
    encode(&reply.as_ref().map(|body| Bytes(body)))
}

/// Decodes an answer.
///
/// # Errors
/// As [`decode`]. The request itself may have been carried out.
pub fn decode_reply(frame: &[u8]) -> Result<Reply, WireError> {
    let reply: Result<Buffer, RemoteError> = decode(frame)?;
    Ok(reply.map(|Buffer(body)| body))
}

/// Borrowed bytes, copied whole. Serde would take a `[u8]` one element at a time; the encoding is
/// the same.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Owned bytes, taken whole.
pub(super) struct Buffer(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Buffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BufferVisitor).map(Buffer)
    }
}

struct BufferVisitor;

impl<'de> Visitor<'de> for BufferVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
