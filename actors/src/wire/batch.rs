//! Batches: what two nodes have for each other at one moment, in one message.

use serde::{Deserialize, Serialize};

use super::envelope::{Buffer, Bytes};
use super::{MAX_FRAME_BYTES, NEWEST_VERSION, WireError, decode_as, encode_as};

/// The longest batch, in bytes: the longest frame and what a batch adds to a single one.
pub const MAX_BATCH_BYTES: usize = MAX_FRAME_BYTES + 64;

/// A frame on its way, numbered by whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// An encoded request.
    Call {
        /// Names the call among all that its sender has made.
        id: u64,
        /// The request, as [`encode_envelope`](super::encode_envelope) makes it.
        frame: Vec<u8>,
    },
    /// The answer to a call of the receiver.
    Answer {
        /// Which call it answers.
        id: u64,
        /// The answer, as [`encode_reply`](super::encode_reply) makes it.
        frame: Vec<u8>,
    },
}

impl Parcel {
    /// How many bytes of a batch it takes up at most.
    pub fn size(&self) -> usize {
        /// Kind, number and length, as long as they can be.
        const AROUND: usize = 24;
        let (Self::Call { frame, .. } | Self::Answer { frame, .. }) = self;
        AROUND + frame.len()
    }
}

/// A [`Parcel`] as it is written.
#[derive(Serialize)]
enum Written<'a> {
    Call(u64, Bytes<'a>),
    Answer(u64, Bytes<'a>),
}

/// A [`Parcel`] as it is read.
#[derive(Deserialize)]
enum Read {
    Call(u64, Buffer),
    Answer(u64, Buffer),
}

/// Encodes a batch; its receiver gets the parcels in their order.
///
/// # Errors
/// [`WireError::TooLarge`] if they are longer than [`MAX_BATCH_BYTES`] together.
pub fn encode_batch(parcels: &[Parcel]) -> Result<Vec<u8>, WireError> {
    let written: Vec<Written<'_>> = parcels
        .iter()
        .map(|parcel| match parcel {
            Parcel::Call { id, frame } => Written::Call(*id, Bytes(frame)),
            Parcel::Answer { id, frame } => Written::Answer(*id, Bytes(frame)),
        })
        .collect();
    encode_as(NEWEST_VERSION, MAX_BATCH_BYTES, &written)
}

/// Decodes a batch.
///
/// # Errors
/// As [`decode`](super::decode).
pub fn decode_batch(batch: &[u8]) -> Result<Vec<Parcel>, WireError> {
    let read: Vec<Read> = decode_as(NEWEST_VERSION, MAX_BATCH_BYTES, batch)?;
    let parcels = read.into_iter().map(|read| match read {
        Read::Call(id, Buffer(frame)) => Parcel::Call { id, frame },
        Read::Answer(id, Buffer(frame)) => Parcel::Answer { id, frame },
    });
    Ok(parcels.collect())
}
