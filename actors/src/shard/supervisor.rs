//! The supervisor of one shard's entities: it outlives them, and forgets those that end.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::entities::Entities;

/// A shard's supervisor is told nothing; it watches.
pub(crate) enum ShardMessage {}

impl ractor::Message for ShardMessage {}

/// The supervisor's actor.
pub(crate) struct ShardSupervisor {
    pub(super) entities: Arc<Entities>,
}

impl Actor for ShardSupervisor {
    type Msg = ShardMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ShardMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    // The default would stop the supervisor, and with it every sibling, when one child ends.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ShardMessage>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(entity, reason) => {
                tracing::warn!(%reason, "an entity failed; it is spawned from Postgres when it is next asked");
                self.entities.ended(entity.get_id(), true);
            }
            SupervisionEvent::ActorTerminated(entity, ..) => self.entities.ended(entity.get_id(), false),
            _ => {}
        }
        Ok(())
    }
}
