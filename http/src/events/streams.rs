//! How many streams of events there may be: on this edge, and of one user.
//!
//! A stream outlives its request, so neither the requests in flight nor the rate limits bound it.

use std::{collections::HashMap, sync::Arc};

use holdfast_domain::UserId;
use parking_lot::Mutex;

/// The streams of an edge. Clones share them.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Shared>);

struct Shared {
    max: usize,
    max_per_user: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_user: HashMap<UserId, usize>,
}

/// Why another stream may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// The edge has as many as it may.
    OfEdge,
    /// The user has as many as one may.
    OfUser {
        /// How many that is.
        max: usize,
    },
}

impl Streams {
    /// Begins without any.
    pub(crate) fn new(max: usize, max_per_user: usize) -> Self {
        Self(Arc::new(Shared {
            max,
            max_per_user,
            open: Mutex::default(),
        }))
    }

    /// Lets another stream of this user begin, which lasts until what is returned is dropped.
    pub(crate) fn admit(&self, user_id: UserId) -> Result<StreamPermit, NoStream> {
        let mut open = self.0.open.lock();
        let of_user = open.by_user.get(&user_id).copied().unwrap_or(0);
        // The user's bound first: it is the one that they can do something about.
        if of_user >= self.0.max_per_user {
            return Err(NoStream::OfUser {
                max: self.0.max_per_user,
            });
        }
        if open.total >= self.0.max {
            return Err(NoStream::OfEdge);
        }
        open.total += 1;
        open.by_user.insert(user_id, of_user + 1);
        Ok(StreamPermit {
            streams: self.clone(),
            user_id,
        })
    }
}

/// A stream that was let begin.
pub(crate) struct StreamPermit {
    streams: Streams,
    user_id: UserId,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.0.open.lock();
        open.total -= 1;
        if let Some(of_user) = open.by_user.get_mut(&self.user_id) {
            *of_user -= 1;
            if *of_user == 0 {
                open.by_user.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_user_cannot_take_the_streams_of_all() {
        let streams = Streams::new(3, 2);
        let [greedy, modest, late] = [1, 2, 3].map(|n| UserId(Uuid::from_u128(n)));
        let held: Vec<_> = (0..2).map(|_| streams.admit(greedy).ok()).collect();
        assert_eq!(streams.admit(greedy).err(), Some(NoStream::OfUser { max: 2 }));
        let other = streams.admit(modest).ok();
        assert!(other.is_some());
        assert_eq!(streams.admit(late).err(), Some(NoStream::OfEdge));
        drop(held);
        assert!(streams.admit(greedy).is_ok());
        drop(other);
        // Who has none is not remembered.
        assert!(streams.0.open.lock().by_user.is_empty());
        assert_eq!(streams.0.open.lock().total, 0);
    }
}
