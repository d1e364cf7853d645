//! Telling the edges what has changed here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_domain::NodeId;
use holdfast_store::Service;

use crate::{
    command::{NEWS_PROTO, News, NodeMessage},
    node::Shared,
    outbound,
};

/// The pause between two messages to a peer; a change after a quiet time is told at once.
const PACE: Duration = Duration::from_millis(25);
/// How long a peer may take to acknowledge a message.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the edges what changes, until the node ends.
pub(crate) async fn keep_pushing(shared: &Shared) {
    loop {
        shared.caches.news.notified().await;
        while shared.caches.outbox.lock().has_work() {
            push(shared);
            tokio::time::sleep(PACE).await;
        }
    }
}

fn push(shared: &Shared) {
    let map = shared.map();
    let edges: Vec<NodeId> = map
        .members()
        .filter(|node| node.node_id != shared.node_id && node.proto >= NEWS_PROTO)
        .filter(|node| node.roles.iter().any(|role| role == "edge"))
        .map(|node| node.node_id)
        .collect();
    let shards: Vec<u8> = map
        .shards()
        .filter(|(service, _, held)| *service == Service::Products && held.owner == Some(shared.node_id))
        .map(|(_, shard, _)| shard.0)
        .collect();
    drop(map);
    let batch = shared.caches.outbox.lock().take(&edges, &shards, Instant::now());
    if batch.has_overflowed {
        shared.caches.counters.overflowed();
    }
    for (peer, news) in batch.messages {
        // One for a peer at a time, so there are no more tasks than peers.
        tokio::spawn(tell(shared.clone(), peer, news));
    }
}

async fn tell(shared: Shared, peer: NodeId, news: Arc<News>) {
    let message = NodeMessage::News((*news).clone());
    let is_acknowledged = outbound::tell(&shared, peer, &message, PATIENCE).await;
    shared.caches.counters.pushed(is_acknowledged);
    let mut outbox = shared.caches.outbox.lock();
    outbox.told(peer, is_acknowledged);
    if outbox.has_work() {
        shared.caches.news.notify_one();
    }
}
