//! The gateway: the one actor of a node that peers can address.
//!
//! `ractor_cluster` advertises every remotable actor to every peer and keeps a shadow of each, so
//! there is one and the entities stay local. Its message is written by hand: the payload is bytes
//! already, so no single call can fail to decode, and a batch that does ends its session. That matters
//! because `ractor_cluster` answers a message that cannot be decoded, and a reply port that was dropped,
//! with silence until the caller's deadline. Instead [`InboundReply`] answers `Internal` when it is dropped,
//! and a message of a kind this release does not know is answered in the same way.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use ractor::message::{BoxedDowncastErr, SerializedMessage};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message, RpcReplyPort};
use uuid::Uuid;

use super::hub::Hub;
use super::outbox;
use crate::wire::{self, MAX_FRAME_BYTES, OLDEST_VERSION, Parcel, RemoteError, encode_reply};

/// Variant names on the wire. They belong to the protocol between releases.
const CALL: &str = "call";
const BEAT: &str = "beat";
const BATCH: &str = "batch";

/// Takes the calls of peers.
pub trait Inbound: Send + Sync + 'static {
    /// Handles one call of the incarnation `from`.
    ///
    /// Runs on the gateway, which handles nothing else meanwhile: it must not block, and spawns or
    /// forwards what takes time. `from` is what the peer says; it was authenticated as a member of
    /// the cluster, not as that member.
    fn call(&self, from: Uuid, frame: Vec<u8>, reply: InboundReply);
}

/// The way back to the caller. Dropped without [`send`](Self::send), it answers
/// [`RemoteError::Internal`] at once.
pub struct InboundReply {
    port: Option<Port>,
}

/// How a call came is how its answer goes.
enum Port {
    /// By itself.
    Single(RpcReplyPort<Vec<u8>>),
    /// In a batch, as call `id` of the incarnation `from`.
    Batch { hub: Weak<Hub>, from: Uuid, id: u64 },
}

impl Port {
    fn send(self, frame: Vec<u8>) {
        match self {
            Self::Single(port) => {
                // Fails only if the caller has stopped waiting.
                let _ = port.send(frame);
            }
            Self::Batch { hub, from, id } => {
                // A caller whose session has ended has been told so by its own link.
                if let Some(session) = hub.upgrade().and_then(|hub| hub.session(from)) {
                    outbox::send(&session, Parcel::Answer { id, frame });
                }
            }
        }
    }
}

impl InboundReply {
    fn new(port: Port) -> Self {
        Self { port: Some(port) }
    }

    /// Answers with `frame`, an encoded [`Reply`](crate::wire::Reply).
    ///
    /// A frame longer than [`MAX_FRAME_BYTES`] would end the session; `Internal` is sent in its
    /// place.
    pub fn send(mut self, frame: Vec<u8>) {
        if frame.len() > MAX_FRAME_BYTES {
            tracing::error!(size = frame.len(), "a reply exceeds the frame limit");
            return;
        }
        if let Some(port) = self.port.take() {
            port.send(frame);
        }
    }
}

impl fmt::Debug for InboundReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("InboundReply").finish_non_exhaustive()
    }
}

impl Drop for InboundReply {
    fn drop(&mut self) {
        if let Some(port) = self.port.take() {
            // The encoding of a unit variant cannot fail; were it to, an empty frame is a reply
            // that cannot be decoded, and still not silence.
            let frame = encode_reply(&Err(RemoteError::Internal)).unwrap_or_default();
            port.send(frame);
        }
    }
}

/// What a gateway receives.
pub(super) enum GatewayMessage {
    /// A peer wants an answer.
    Call {
        from: Uuid,
        frame: Vec<u8>,
        reply: RpcReplyPort<Vec<u8>>,
    },
    /// What a peer has had to say at one moment.
    Batch { from: Uuid, batch: Vec<u8> },
    /// A peer shows that it is alive, and tells the newest wire version that it reads.
    Beat { from: Uuid, reads: u8 },
    /// A peer of a release that knows no other version shows that it is alive: the arrival alone has
    /// renewed the patience of the stream.
    OldBeat,
    /// A peer sent something that this release does not know.
    Unknown(Option<RpcReplyPort<Vec<u8>>>),
}

impl Message for GatewayMessage {
    fn serializable() -> bool {
        true
    }

    fn serialize(self) -> Result<SerializedMessage, BoxedDowncastErr> {
        match self {
            Self::Call { from, frame, reply } => Ok(SerializedMessage::Call {
                variant: CALL.to_owned(),
                args: frame,
                reply,
                metadata: Some(from.into_bytes().to_vec()),
            }),
            Self::Batch { from, batch } => Ok(SerializedMessage::Cast {
                variant: BATCH.to_owned(),
                args: batch,
                metadata: Some(from.into_bytes().to_vec()),
            }),
            Self::Beat { from, reads } => Ok(SerializedMessage::Cast {
                variant: BEAT.to_owned(),
                args: vec![reads],
                metadata: Some(from.into_bytes().to_vec()),
            }),
            Self::OldBeat | Self::Unknown(_) => Err(BoxedDowncastErr),
        }
    }

    fn deserialize(message: SerializedMessage) -> Result<Self, BoxedDowncastErr> {
        Ok(match message {
            SerializedMessage::Call {
                variant,
                args,
                reply,
                metadata,
            } => match sender(metadata.as_deref()) {
                Some(from) if variant == CALL => Self::Call {
                    from,
                    frame: args,
                    reply,
                },
                _ => Self::Unknown(Some(reply)),
            },
            SerializedMessage::Cast {
                variant,
                args,
                metadata,
            } => match (variant.as_str(), sender(metadata.as_deref())) {
                (BATCH, Some(from)) => Self::Batch { from, batch: args },
                (BEAT, Some(from)) => Self::Beat {
                    from,
                    reads: args.first().copied().unwrap_or(OLDEST_VERSION),
                },
                (BEAT, None) => Self::OldBeat,
                _ => Self::Unknown(None),
            },
            SerializedMessage::CallReply(..) => Self::Unknown(None),
        })
    }
}

/// Who sent a message, as it says beside it.
fn sender(metadata: Option<&[u8]>) -> Option<Uuid> {
    Uuid::from_slice(metadata?).ok()
}

/// The name that the gateway of an incarnation goes by. The registry of names is one for the whole
/// process, and several nodes may share a process.
pub(super) fn gateway_name(node: Uuid) -> String {
    format!("gateway/{}", node.hyphenated())
}

/// Hands calls on. Weak, so that a link whose last handle is gone can end.
pub(super) struct Gateway {
    pub(super) hub: Weak<Hub>,
    pub(super) inbound: Arc<dyn Inbound>,
}

impl Actor for Gateway {
    type Msg = GatewayMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<GatewayMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<GatewayMessage>,
        message: GatewayMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GatewayMessage::Call { from, frame, reply } => {
                if let Some(hub) = self.hub.upgrade() {
                    hub.meter(from).was_called(1);
                }
                self.take(from, frame, InboundReply::new(Port::Single(reply)));
            }
            GatewayMessage::Batch { from, batch } => self.unpack(from, &batch),
            GatewayMessage::Beat { from, reads } => {
                if let Some(session) = self.hub.upgrade().and_then(|hub| hub.session(from)) {
                    session.peer_reads(reads);
                }
            }
            GatewayMessage::Unknown(Some(reply)) => {
                tracing::warn!("a peer sent a call of an unknown kind");
                drop(InboundReply::new(Port::Single(reply)));
            }
            GatewayMessage::OldBeat | GatewayMessage::Unknown(None) => {}
        }
        Ok(())
    }
}

impl Gateway {
    fn unpack(&self, from: Uuid, batch: &[u8]) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        let parcels = match wire::decode_batch(batch) {
            Ok(parcels) => parcels,
            Err(error) => {
                tracing::error!(%from, %error, "a peer sent a batch that cannot be read");
                // Who waits for what was in it learns so at once.
                if let Some(session) = hub.session(from) {
                    session.end("a batch could not be read");
                }
                return;
            }
        };
        let calls = parcels
            .iter()
            .filter(|parcel| matches!(parcel, Parcel::Call { .. }));
        hub.meter(from).was_called(calls.count() as u64);
        for parcel in parcels {
            match parcel {
                Parcel::Call { id, frame } => {
                    let hub = Weak::clone(&self.hub);
                    self.take(from, frame, InboundReply::new(Port::Batch { hub, from, id }));
                }
                Parcel::Answer { id, frame } => hub.pending.answer(id, frame),
            }
        }
    }

    fn take(&self, from: Uuid, frame: Vec<u8>, reply: InboundReply) {
        // A panic would end the gateway, and with it every later call, in silence. The reply is
        // dropped in unwinding, so this caller is answered as well.
        let handled = catch_unwind(AssertUnwindSafe(|| self.inbound.call(from, frame, reply)));
        if handled.is_err() {
            tracing::error!(%from, "the handler of a call panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::wire::decode_reply;
    use ractor::concurrency::oneshot;

    fn call(variant: &str, metadata: Option<Vec<u8>>) -> GatewayMessage {
        let (port, _) = oneshot();
        let message = SerializedMessage::Call {
            variant: variant.to_owned(),
            args: Vec::new(),
            reply: port.into(),
            metadata,
        };
        GatewayMessage::deserialize(message).expect("deserialising is total")
    }

    #[test]
    fn what_is_not_known_still_deserialises() {
        let from = Uuid::from_u128(7);
        let known = call(CALL, Some(from.as_bytes().to_vec()));
        assert!(matches!(known, GatewayMessage::Call { from: found, .. } if found == from));
        for (variant, metadata) in [
            ("other", Some(from.as_bytes().to_vec())),
            (CALL, None),
            (CALL, Some(vec![1, 2, 3])),
        ] {
            let unknown = call(variant, metadata);
            assert!(matches!(unknown, GatewayMessage::Unknown(Some(_))));
        }
    }

    #[tokio::test]
    async fn a_reply_that_is_dropped_or_too_long_answers_internal() {
        let (port, dropped) = oneshot();
        drop(InboundReply::new(Port::Single(port.into())));
        let (port, too_long) = oneshot();
        InboundReply::new(Port::Single(port.into())).send(vec![0; MAX_FRAME_BYTES + 1]);
        for answer in [dropped, too_long] {
            let frame = answer.await.unwrap();
            assert_eq!(decode_reply(&frame).unwrap(), Err(RemoteError::Internal));
        }
    }
}
