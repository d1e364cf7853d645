//! Which node dials a link.
//!
//! A link's first bytes, its hello, name the incarnation of the node that
//! dials; the database knows whose it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_actors::link::{CALLER_BYTES, caller};
use holdfast_store::Store;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a dialer may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(3);

/// Knows the nodes by their incarnations.
#[derive(Debug)]
pub(super) struct Callers {
    store: Store,
    /// The nodes' names, in order.
    names: Vec<String>,
    known: Mutex<HashMap<Uuid, usize>>,
}

impl Callers {
    pub(super) fn new(store: Store, names: Vec<String>) -> Self {
        Self {
            store,
            names,
            known: Mutex::default(),
        }
    }

    /// Reads who dials, and returns what was read; nothing for a stranger, who
    /// is not connected.
    pub(super) async fn identify(&self, dialer: &mut TcpStream) -> Option<(usize, Vec<u8>)> {
        let mut hello = [0; CALLER_BYTES];
        timeout(HELLO_WITHIN, dialer.read_exact(&mut hello))
            .await
            .ok()?
            .ok()?;
        Some((self.node(caller(&hello)?).await?, hello.to_vec()))
    }

    async fn node(&self, incarnation: Uuid) -> Option<usize> {
        if let Some(index) = self.recall(incarnation) {
            return Some(index);
        }
        // A node that dials has joined, so the database knows it. While the
        // database is away, a dialer tries again.
        let nodes = self.store.nodes().await.ok()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes {
            if let Some(index) = self.names.iter().position(|name| *name == node.name) {
                known.insert(node.node_id.0, index);
            }
        }
        known.get(&incarnation).copied()
    }

    fn recall(&self, incarnation: Uuid) -> Option<usize> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&incarnation).copied()
    }
}
