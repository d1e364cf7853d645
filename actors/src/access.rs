//! Which sessions have ended and which roles have changed, as every node knows within a second.
//!
//! Access tokens are verified without asking anybody. What they cannot know - that their session was
//! revoked since, or their user's role changed - is read by polling a feed that the changes write in
//! their own transaction. Tokens live for ten minutes, and so does the memory of a change.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use holdfast_domain::{Caller, Role, SessionId, Timestamp, UserId, account::ACCESS_TOKEN_TTL_MAX};
use holdfast_store::{AccessChange, AccessChanges, AccessCursor, Store, StoreError};
use parking_lot::RwLock;

/// How old the view may be before it is not trusted any more.
const TRUSTED_FOR: Duration = Duration::from_millis(900);

/// How long a change is remembered: longer than any token that it concerns.
const REMEMBERED_FOR: Duration = Duration::from_secs(ACCESS_TOKEN_TTL_MAX.as_secs() + 120);

/// What a token's session and user are worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The session stands, and its user has this role.
    Holds(Role),
    /// The session has ended.
    Ended,
    /// The view is too old to tell.
    Unknown,
}

/// The changes of access that matter to tokens that are still good.
#[derive(Debug, Default)]
pub(crate) struct AccessView {
    state: RwLock<State>,
    /// One poll at a time: a later one sees at least what an earlier one saw.
    polling: tokio::sync::Mutex<Option<AccessCursor>>,
}

#[derive(Debug, Default)]
struct State {
    ended: HashMap<SessionId, Timestamp>,
    roles: HashMap<UserId, (Role, Timestamp)>,
    /// When the poll began whose result this is; `None` before the first.
    as_of: Option<Instant>,
}

impl AccessView {
    /// Tells what a token's session and user are worth now.
    pub(crate) fn standing(&self, caller: &Caller) -> Standing {
        let state = self.state.read();
        if state.ended.contains_key(&caller.session_id) {
            return Standing::Ended;
        }
        if state.as_of.is_none_or(|as_of| as_of.elapsed() > TRUSTED_FOR) {
            return Standing::Unknown;
        }
        Standing::Holds(
            state
                .roles
                .get(&caller.user_id)
                .map_or(caller.role, |(role, _)| *role),
        )
    }

    /// Reads what has changed since the last poll.
    pub(crate) async fn poll(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let mut cursor = self.polling.lock().await;
        let began = Instant::now();
        let AccessChanges { changes, next } = store
            .access_changes(cursor.unwrap_or(AccessCursor::START))
            .await?;
        *cursor = Some(next);
        let mut state = self.state.write();
        for change in changes {
            state.take(&change);
        }
        state.forget_before(now);
        state.as_of = Some(began);
        Ok(())
    }

    /// Notes that a session has ended, before the feed says so.
    pub(crate) fn session_ended(&self, id: SessionId, at: Timestamp) {
        self.state.write().ended.insert(id, at);
    }
}

impl State {
    fn take(&mut self, change: &AccessChange) {
        match *change {
            AccessChange::SessionEnded { session_id, at } => {
                self.ended.insert(session_id, at);
            }
            AccessChange::RoleChanged { user_id, role, at } => {
                let newest = self.roles.entry(user_id).or_insert((role, at));
                if newest.1 <= at {
                    *newest = (role, at);
                }
            }
        }
    }

    fn forget_before(&mut self, now: Timestamp) {
        self.ended.retain(|_, at| now.since(*at) < REMEMBERED_FOR);
        self.roles.retain(|_, (_, at)| now.since(*at) < REMEMBERED_FOR);
    }
}
