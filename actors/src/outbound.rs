//! Messages to other nodes themselves, and not to entities of theirs.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast_domain::NodeId;
use uuid::Uuid;

use crate::{
    command::{MAP_PROTO, NodeMessage},
    node::Shared,
    wire::{self, Header},
};

/// How long a peer may take to acknowledge that it has heard of a newer map.
const MAP_PATIENCE: Duration = Duration::from_millis(500);

/// Tells a peer something; returns whether it has acknowledged that within `patience`.
pub(crate) async fn tell(shared: &Shared, peer: NodeId, message: &NodeMessage, patience: Duration) -> bool {
    let header = Header {
        message_id: Uuid::from_bytes(rand::random()),
        operation_id: None,
        traceparent: None,
        budget_ms: u32::try_from(patience.as_millis()).unwrap_or(u32::MAX),
        hops: 0,
        map_version: shared.map().version(),
        service: wire::TO_THE_NODE,
        shard: 0,
        epoch: 0,
    };
    let frame = wire::encode(message).and_then(|body| wire::encode_envelope(&header, &body));
    let frame = match frame {
        Ok(frame) => frame,
        Err(error) => {
            tracing::error!(%error, "a message to a peer could not be encoded");
            return false;
        }
    };
    let answer = shared.link.call(peer.0, frame, patience).await;
    matches!(answer.map(|frame| wire::decode_reply(&frame)), Ok(Ok(Ok(_))))
}

/// Tells all peers that there is a newer map, which they would learn with their next heartbeat.
pub(crate) async fn spread_map(shared: &Shared) {
    let peers: Vec<NodeId> = shared
        .map()
        .members()
        .filter(|node| node.node_id != shared.node_id && node.proto >= MAP_PROTO)
        .map(|node| node.node_id)
        .collect();
    let told = peers
        .into_iter()
        .map(|peer| tell(shared, peer, &NodeMessage::Map, MAP_PATIENCE));
    join_all(told).await;
}
