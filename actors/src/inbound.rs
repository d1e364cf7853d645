//! Requests from other nodes.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    command::{NodeMessage, Request},
    dispatch::dispatch,
    entity::Fault,
    link::{Inbound, InboundReply},
    node::{Inner, Shared},
    trace::TraceParent,
    wire::{self, RemoteError},
};

/// Takes requests off the link, each in a task of its own.
#[derive(Default)]
pub(crate) struct Requests {
    shared: OnceLock<Weak<Inner>>,
}

impl Requests {
    /// Begins to serve. Requests that came before were answered that this node owns nothing.
    pub(crate) fn serve(&self, shared: &Shared) {
        let _ = self.shared.set(Arc::downgrade(shared));
    }
}

impl Inbound for Requests {
    fn call(&self, from: Uuid, frame: Vec<u8>, reply: InboundReply) {
        let Some(shared) = self.shared.get().and_then(Weak::upgrade) else {
            answer(
                reply,
                &Err(RemoteError::NotOwner {
                    owner: None,
                    epoch: 0,
                }),
            );
            return;
        };
        tokio::spawn(async move {
            let result = handle(&shared, from, &frame).await;
            answer(reply, &result);
        });
    }
}

fn answer(reply: InboundReply, result: &wire::Reply) {
    match wire::encode_reply(result) {
        Ok(frame) => reply.send(frame),
        // Dropping the reply answers `Internal`.
        Err(error) => tracing::error!(%error, "a reply could not be encoded"),
    }
}

async fn handle(shared: &Shared, from: Uuid, frame: &[u8]) -> wire::Reply {
    let unreadable = |error: wire::WireError| {
        tracing::error!(%from, %error, "a peer sent what cannot be read");
        RemoteError::Internal
    };
    let (header, body) = wire::decode_envelope(frame).map_err(unreadable)?;
    if header.service == wire::TO_THE_NODE {
        match wire::decode(&body).map_err(unreadable)? {
            NodeMessage::News(news) => shared.caches.hear(&news),
            NodeMessage::Map if header.map_version > shared.map().version() => shared.refresh_map().await,
            NodeMessage::Map => {}
        }
        return Ok(Vec::new());
    }
    let request: Request = wire::decode(&body).map_err(unreadable)?;
    let budget = Duration::from_millis(u64::from(header.budget_ms));
    let deadline = Instant::now() + budget;
    let (service, shard) = request.shard();
    let is_behind = {
        let map = shared.map();
        header.map_version > map.version() || header.epoch > map.ownership(service, shard).epoch
    };
    if is_behind {
        // The sender knows more: this node may have been given the shard just now.
        shared.refresh_map().await;
    }
    let caller = header.traceparent.as_deref().and_then(TraceParent::parse);
    let span = tracing::info_span!(
        "serve",
        otel.kind = "server",
        service = service.as_str(),
        shard = shard.0,
        %from,
        trace_id = caller.map(TraceParent::trace_id),
    );
    if let Some(caller) = caller {
        caller.adopt(&span);
    }
    let outcome = timeout_at(deadline, dispatch(shared, request, deadline))
        .instrument(span)
        .await;
    match outcome.map_err(|_| RemoteError::Deadline)? {
        Ok(answer) => wire::encode(&answer).map_err(|error| {
            tracing::error!(%error, "an answer could not be encoded");
            RemoteError::Internal
        }),
        Err(fault) => Err(remote(&fault)),
    }
}

fn remote(fault: &Fault) -> RemoteError {
    match fault {
        Fault::NotOwner { owner, epoch } => RemoteError::NotOwner {
            owner: owner.map(|id| id.0),
            epoch: *epoch,
        },
        Fault::Draining => RemoteError::Draining,
        Fault::Overloaded => RemoteError::Overloaded,
        Fault::Lost | Fault::Conflict => RemoteError::Internal,
        Fault::Store(error) => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "a request of a peer failed in the store"
            );
            RemoteError::Internal
        }
    }
}
