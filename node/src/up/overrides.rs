//! What single nodes are launched with that the others are not.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Overrides by the node's name; clones share them. A change holds from the
/// node's next launch on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    nodes: Arc<Mutex<HashMap<String, Override>>>,
}

/// What one node is launched with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Override {
    /// Another program than this one.
    pub(crate) program: Option<PathBuf>,
    /// More variables in its environment.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Overrides {
    /// Returns what `node` is to be launched with.
    pub(super) fn of(&self, node: &str) -> Override {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.get(node).cloned().unwrap_or_default()
    }

    /// Changes what `node` is to be launched with.
    pub(crate) fn change<T>(&self, node: &str, change: impl FnOnce(&mut Override) -> T) -> T {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        change(nodes.entry(node.to_owned()).or_default())
    }
}
