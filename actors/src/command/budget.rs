//! What a bucket of requests can be asked.

use serde::{Deserialize, Serialize};

use crate::budget::{Class, Subject};

/// A draw on a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// Which of the subject's buckets.
    pub class: Class,
    /// Whose bucket.
    pub subject: Subject,
    /// How many tokens, at most.
    pub wanted: u32,
}

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// So many tokens, perhaps none.
    pub tokens: u32,
    /// So many are left.
    pub remaining: u32,
    /// When there will be more, in nanoseconds from now; of use if it was less than wanted.
    pub wait_ns: u64,
}
