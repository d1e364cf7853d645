//! The root of a node's supervision tree.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{Shared, upkeep};
use crate::{
    lane::{Lane, LaneIdentity, LaneLimits},
    membership::Membership,
};

/// Products whose counters a lane remembers between batches.
const LANE_HEADS: usize = 65_536;

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
    upkeep: tokio_util::task::AbortOnDropHandle<()>,
}

impl Actor for Root {
    type Msg = RootMessage;
    type State = Children;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<RootMessage>, (): ()) -> Result<Children, ActorProcessingErr> {
        self.shared.set_root(myself.get_cell());
        let lane = self.spawn_lane(myself.get_cell()).await?;
        let membership = self.spawn_membership(myself.get_cell()).await?;
        let upkeep = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(upkeep::run(self.shared.clone())));
        Ok(Children {
            lane,
            membership,
            upkeep,
        })
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
        if children.upkeep.is_finished() {
            return Err("the upkeep of the node has ended".into());
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
                waiting_intents: options.waiting_intents,
                heads: LANE_HEADS,
            },
        };
        let (lane, _) = Actor::spawn_linked(None, lane, (), root).await?;
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
