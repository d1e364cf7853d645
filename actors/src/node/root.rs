//! The root of a node's supervision tree.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};

use tokio_util::task::AbortOnDropHandle;

use super::{Ended, Shared, upkeep};
use crate::{
    lane::{Lane, LaneIdentity, LaneLimits},
    membership::{Membership, Runtime},
};

/// Products whose counters a lane remembers between batches.
const LANE_HEADS: usize = 65_536;

/// Bytes of one batch, about: with the count, what one commit may take.
const LANE_BATCH_BYTES: usize = 256 << 10;
/// Bytes that may wait for the next batches, about.
const LANE_WAITING_BYTES: usize = 64 << 20;

/// The root is told nothing; it watches.
pub(crate) enum RootMessage {}

impl ractor::Message for RootMessage {}

/// The root's actor.
pub(crate) struct Root {
    pub(crate) shared: Shared,
}

/// The children that are replaced when they fail.
pub(crate) struct Children {
    lane: ActorCell,
    membership: ActorCell,
    /// Work beside the actors; ends with the root.
    _tasks: [AbortOnDropHandle<()>; 4],
}

impl Actor for Root {
    type Msg = RootMessage;
    type State = Children;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<RootMessage>, (): ()) -> Result<Children, ActorProcessingErr> {
        self.shared.set_root(myself.get_cell());
        let lane = self.spawn_lane(myself.get_cell()).await?;
        let membership = self.spawn_membership(myself.get_cell()).await?;
        let (ticking, lane_ticking) = (self.shared.clone(), self.shared.clone());
        let tasks = [
            tokio::spawn(upkeep::keep_up(self.shared.clone())),
            tokio::spawn(upkeep::keep_relaying(self.shared.clone())),
            tokio::spawn(async move { ticking.pulse.keep_ticking(Runtime::Main).await }),
            self.shared
                .lane_thread
                .spawn(async move { lane_ticking.pulse.keep_ticking(Runtime::Lane).await }),
        ];
        Ok(Children {
            lane,
            membership,
            _tasks: tasks.map(AbortOnDropHandle::new),
        })
    }

    async fn post_stop(&self, _: ActorRef<RootMessage>, _: &mut Children) -> Result<(), ActorProcessingErr> {
        // Without its root a node cannot replace what fails: it starts anew. Told to stop, it has
        // ended before, and that reason stands.
        self.shared.end(Ended::Superseded);
        Ok(())
    }

    // The default would end the node when one child ends.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMessage>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        let failed = match event {
            SupervisionEvent::ActorFailed(child, reason) => {
                tracing::error!(%reason, "a part of the node failed");
                child
            }
            SupervisionEvent::ActorTerminated(child, ..) => child,
            _ => return Ok(()),
        };
        if self.shared.has_ended() {
            return Ok(());
        }
        if failed.get_id() == children.lane.get_id() {
            // What waited was dropped with it: callers see that, and ask again.
            children.lane = self.spawn_lane(myself.get_cell()).await?;
        } else if failed.get_id() == children.membership.get_id() {
            children.membership = self.spawn_membership(myself.get_cell()).await?;
        }
        Ok(())
    }
}

impl Root {
    async fn spawn_lane(&self, root: ActorCell) -> Result<ActorCell, ActorProcessingErr> {
        let options = &self.shared.options;
        let lane = Lane {
            store: self.shared.store.clone(),
            clock: self.shared.clock.clone(),
            identity: LaneIdentity {
                node_id: self.shared.node_id,
                lane: 0,
            },
            limits: LaneLimits {
                batch_intents: options.batch_intents,
                batch_bytes: LANE_BATCH_BYTES,
                waiting_bytes: LANE_WAITING_BYTES,
                waiting_intents: options.waiting_intents,
                heads: LANE_HEADS,
            },
            metrics: self.shared.metrics.clone(),
        };
        let spawned = self
            .shared
            .lane_thread
            .spawn(Actor::spawn_linked(None, lane, (), root));
        let (lane, _) = spawned.await??;
        self.shared.set_lane(lane.clone());
        Ok(lane.get_cell())
    }

    async fn spawn_membership(&self, root: ActorCell) -> Result<ActorCell, ActorProcessingErr> {
        let membership = Membership {
            shared: self.shared.clone(),
        };
        let (membership, _) = Actor::spawn_linked(None, membership, (), root).await?;
        self.shared.set_membership(membership.clone());
        Ok(membership.get_cell())
    }
}
