//! Sessions: one actor for each, where refresh tokens rotate and end.

use holdfast_domain::{Refusal, Session, SessionId, session::Rotation};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    command::{Refresh, Reply, SessionCommand},
    entity::{Context, Outcome, ReplyTo, conclude, done, refused},
};

/// What a session receives: a request, and where its answer goes.
pub(crate) struct SessionMessage(pub(crate) SessionCommand, pub(crate) ReplyTo);

impl ractor::Message for SessionMessage {}

/// A session's actor.
pub(crate) struct SessionActor {
    pub(crate) context: Context,
    pub(crate) id: SessionId,
}

impl Actor for SessionActor {
    type Msg = SessionMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<SessionMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<SessionMessage>,
        SessionMessage(command, reply_to): SessionMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        conclude(Box::pin(self.run(command)).await, reply_to)
    }
}

impl SessionActor {
    /// Runs a request on the session as it stands: logging out everywhere writes past this actor.
    async fn run(&self, command: SessionCommand) -> Outcome {
        let session = self.context.shared.store.session(self.id).await?;
        match (command, session) {
            (SessionCommand::Refresh(refresh), Some(session)) => self.refresh(&session, &refresh).await,
            (SessionCommand::Refresh(_), None) => refused(Refusal::InvalidRefreshToken),
            (SessionCommand::End(_, user_id), Some(session)) if session.user_id == user_id => {
                self.end(&session).await
            }
            (SessionCommand::End(..), _) => refused(Refusal::NotFound),
        }
    }

    async fn refresh(&self, session: &Session, refresh: &Refresh) -> Outcome {
        let store = &self.context.shared.store;
        let user = store.user(session.user_id).await?.filter(|user| !user.disabled);
        let Some(user) = user else {
            return refused(Refusal::InvalidRefreshToken);
        };
        let ttl = self.context.shared.options.refresh_token_ttl;
        match session.rotate(refresh.presented, refresh.replacement, self.context.now(), ttl) {
            Err(refusal) => refused(refusal),
            Ok(Rotation::AlreadyRotated) => done(Reply::User(user)),
            Ok(Rotation::Rotated(next)) => {
                store
                    .session_save(&self.context.lease, &next, session.current)
                    .await?;
                done(Reply::User(user))
            }
            Ok(Rotation::Reused(ended)) => {
                store
                    .session_save(&self.context.lease, &ended, session.current)
                    .await?;
                tracing::warn!(session = %ended.id, "a used refresh token came back; the session was ended");
                refused(Refusal::RefreshTokenReused { session_id: ended.id })
            }
        }
    }

    async fn end(&self, session: &Session) -> Outcome {
        if session.revoked_at.is_none() {
            let ended = session.revoke(self.context.now());
            self.context
                .shared
                .store
                .session_save(&self.context.lease, &ended, session.current)
                .await?;
        }
        done(Reply::Ended)
    }
}
