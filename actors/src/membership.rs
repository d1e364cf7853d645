//! Membership: who is here, who is gone, and which shards this node carries.
//!
//! Everything that counts stands in Postgres. A [core] without a clock or a database decides
//! what to try; this actor hears the events, [performs](perform) what the core wants done, and brings
//! back what became of it. Heartbeats come from a [thread of their own](heartbeat).
//!
//! *Invariant*: the actor itself waits for no database. What does is a task whose result is an event,
//! so that a slow claim keeps nobody from hearing of the next death.

pub(crate) mod heartbeat;

pub(crate) mod core;
mod isolation;
mod perform;
mod placement;
mod pulse;
mod suspicion;
#[cfg(test)]
mod testing;

use std::{collections::HashMap, sync::Arc, time::Instant};

use holdfast_domain::NodeId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Semaphore;

pub(crate) use self::core::Event;
use self::core::{Claim, Config, HandOver, MembershipCore};
pub(crate) use isolation::is_majority;
pub(crate) use pulse::{Pulse, Runtime};

use crate::node::Shared;

impl ractor::Message for Event {}

/// The membership's actor.
pub(crate) struct Membership {
    pub(crate) shared: Shared,
}

/// What the membership remembers.
pub(crate) struct State {
    core: MembershipCore,
    began: Instant,
    /// When the latest claim was sent.
    claimed_at: Instant,
    /// Since when the shards for each receiver have been draining.
    draining_since: HashMap<NodeId, Instant>,
    /// Refreshes of the map that may be under way at once.
    refreshes: Arc<Semaphore>,
}

impl Actor for Membership {
    type Msg = Event;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Event>, (): ()) -> Result<State, ActorProcessingErr> {
        let shared = &self.shared;
        let config = Config {
            me: shared.node_id,
            suspect_after: shared.options.suspect_after,
            vote_after: shared.options.vote_after,
        };
        // After a failure: shards are open, and some may wait for a hand-over that nobody will end.
        let open = shared.shards.all();
        for shard in &open {
            shard.resume();
        }
        let leases: Vec<_> = open.iter().map(|shard| shard.lease()).collect();
        if shared.is_draining() {
            myself.send_message(Event::DrainRequested)?;
        }
        myself.send_message(Event::MapChanged(shared.map().clone()))?;
        let now = Instant::now();
        Ok(State {
            core: MembershipCore::new(config, &leases),
            began: now,
            refreshes: Arc::new(Semaphore::new(2)),
            claimed_at: now,
            draining_since: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Event>,
        event: Event,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if self.shared.has_ended() {
            return Ok(());
        }
        let now = state.began.elapsed();
        let is_poll = matches!(event, Event::Polled { .. });
        let (claimed, moved) = (claimed_by(&event), moved_by(&event));
        for effect in state.core.on(now, event) {
            self.perform(&myself, state, effect).await;
        }
        let metrics = &self.shared.metrics.membership;
        if is_poll {
            self.shared.pulse.saw_peers(state.core.peer_ages(now));
        }
        metrics.took_over(claimed, state.claimed_at.elapsed());
        if let Some((to, shards)) = moved
            && let Some(since) = state.draining_since.remove(&to)
        {
            metrics.handed_over(shards, since.elapsed());
        }
        Ok(())
    }
}

/// Counts the shards that an event says were claimed.
fn claimed_by(event: &Event) -> usize {
    match event {
        Event::Claimed(Claim::Got(leases)) => leases.len(),
        _ => 0,
    }
}

/// Returns who has got how many shards, if an event says that.
fn moved_by(event: &Event) -> Option<(NodeId, usize)> {
    match event {
        Event::HandedOver {
            to,
            hand_over: HandOver::Moved(leases),
            ..
        } => Some((*to, leases.len())),
        _ => None,
    }
}

/// Tells whether this node owns shards that belong on others.
pub(crate) fn has_to_hand_over(shared: &Shared) -> bool {
    !placement::to_hand_over(&shared.map(), shared.node_id).is_empty()
}
