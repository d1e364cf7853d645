//! What all entities share: how they are asked, and how they fail.
//!
//! A refusal is an answer. A [`Fault`] is not: it says that this owner cannot answer, and whether
//! another attempt, here or elsewhere, may. Attempts are safe because operations are remembered.
//!
//! An actor that waits for its next message keeps room for the largest thing that it may ever do: entities
//! box what they load and what they do.

use std::sync::Arc;

use holdfast_domain::{Refusal, Timestamp};
use holdfast_store::{Lease, StoreError};
use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::{
    command::{Answer, Reply},
    hashing::HashingError,
    lane::{self, LaneError},
    ports::{Desk, Ports},
};

/// Why an owner could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Another node owns the shard, or none does.
    #[error("not the owner")]
    NotOwner {
        /// The owner, as far as this node knows.
        owner: Option<holdfast_domain::NodeId>,
        /// The newest epoch that this node knows.
        epoch: i64,
    },
    /// The shard is being handed over.
    #[error("the shard is being handed over")]
    Draining,
    /// The entity, or the node, has as much in flight as it may.
    #[error("too much is in flight")]
    Overloaded,
    /// The entity failed while it worked; the outcome is unknown.
    #[error("the entity was lost")]
    Lost,
    /// What it decided on has changed meanwhile; nothing was written.
    #[error("decided on a state that has changed")]
    Conflict,
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl Fault {
    /// Tells whether the entity's memory may disagree with Postgres after this.
    pub(crate) fn shakes_trust(&self) -> bool {
        match self {
            Self::NotOwner { .. } | Self::Draining | Self::Overloaded => false,
            Self::Lost | Self::Conflict => true,
            Self::Store(error) => !error.is_certainly_aborted(),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced { .. } => Self::NotOwner {
                owner: None,
                epoch: 0,
            },
            other => Self::Store(other),
        }
    }
}

impl From<lane::Fault> for Fault {
    fn from(fault: lane::Fault) -> Self {
        match fault {
            lane::Fault::Lost => Self::Lost,
            lane::Fault::Lane(LaneError::Fenced) => Self::NotOwner {
                owner: None,
                epoch: 0,
            },
            lane::Fault::Lane(LaneError::Overloaded) => Self::Overloaded,
            lane::Fault::Lane(
                LaneError::Conflict
                | LaneError::Moved
                | LaneError::Duplicate
                | LaneError::StockVersion { .. }
                | LaneError::Rejected,
            ) => Self::Conflict,
        }
    }
}

impl From<HashingError> for Fault {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Overloaded => Self::Overloaded,
            HashingError::Malformed => Self::Lost,
        }
    }
}

/// What a handler comes to: an answer, or a fault.
pub(crate) type Outcome = Result<Answer, Fault>;

/// Where an entity's answer goes.
pub(crate) type ReplyTo = oneshot::Sender<Outcome>;

/// Answers that something was done just now.
#[expect(clippy::unnecessary_wraps, reason = "an outcome, to be returned as it is")]
pub(crate) fn done(reply: Reply) -> Outcome {
    Ok(Answer::now(Ok(reply)))
}

/// Answers that the shop will not.
#[expect(clippy::unnecessary_wraps, reason = "an outcome, to be returned as it is")]
pub(crate) fn refused(refusal: Refusal) -> Outcome {
    Ok(Answer::now(Err(refusal)))
}

/// Sends an outcome, and fails the actor if its memory may disagree with Postgres.
pub(crate) fn conclude(outcome: Outcome, reply_to: ReplyTo) -> Result<(), ActorProcessingErr> {
    let failure = outcome
        .as_ref()
        .err()
        .filter(|fault| fault.shakes_trust())
        .map(ToString::to_string);
    // Fails only if the caller has stopped waiting; what was committed stands all the same.
    let _ = reply_to.send(outcome);
    match failure {
        None => Ok(()),
        Some(reason) => Err(reason.into()),
    }
}

/// What every entity works with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The node's shared parts.
    pub(crate) shared: crate::node::Shared,
    /// The ownership under which the entity writes.
    pub(crate) lease: Lease,
}

impl Context {
    /// Returns the time on the database's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Returns what decisions work with that are made without IO.
    pub(crate) fn desk(&self) -> Desk {
        Desk {
            ports: Arc::clone(&self.shared) as Arc<dyn Ports>,
            lease: self.lease,
        }
    }

    /// Returns the node's lane.
    pub(crate) fn lane(&self) -> Arc<ActorRef<lane::LaneMessage>> {
        self.shared.lane()
    }
}
