//! What the HTTP edge calls: the whole shop as plain async functions.
//!
//! A mutation is routed to the entity's owner, wherever that is. A read of a product comes from what
//! this node keeps (see `cache`) or from its owner's memory, a page of the public catalogue from what
//! this node keeps or from the database. Every other read, or one that must be linearizable, comes
//! from the database, which holds all that was ever acknowledged.

use std::time::Duration;

use holdfast_domain::{SessionId, ShardId, Timestamp, UserId, id::Entropy};

use crate::{
    CacheStats, Error,
    cache::Written,
    command::{CallContext, Done, FromReply, Mutation, Request},
    node::Shared,
};

mod accounts;
mod budgets;
mod catalogue;
mod cluster;
mod events;
mod orders;

pub use holdfast_store::{
    EventPosition, EventRecord, FeedEvent, NodeState, OrderFilter, OrderScope, Page, PageRequest,
    ProductFilter, ProductKey, ProductPosition, ProductSort, Service,
};

pub use cluster::{ClusterView, Health, NodeView, ShardView};

pub use crate::{cache::KnownProduct, feed::EventStream};

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Whether the read must see every write that was acknowledged before it was sent.
    pub linearizable: bool,
    /// The lowest version that will do.
    pub min_version: Option<i64>,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What was found.
    pub value: T,
    /// For how long the value may have been out of date, in milliseconds.
    pub staleness_ms: u64,
}

impl<T> Read<T> {
    /// Takes a part of what was found.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: part(self.value),
            staleness_ms: self.staleness_ms,
        }
    }

    /// Wraps what the database or an owner's commit says now.
    const fn fresh(value: T) -> Self {
        Self {
            value,
            staleness_ms: 0,
        }
    }
}

/// The whole shop, as one node sees it.
#[derive(Clone)]
pub struct Client {
    shared: Shared,
}

impl Client {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Returns the time on the database's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Returns what the database's clock shows now; unlike [`now`](Self::now) this goes back with it.
    pub fn clock(&self) -> Timestamp {
        self.shared.clock.shown()
    }

    /// Returns what this node's caches have done since the start, and what they hold.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.caches.stats()
    }

    /// Draws the random bytes of an id.
    pub fn entropy(&self) -> Entropy {
        rand::random()
    }

    /// Makes an id for an account, in the shard of its address.
    pub fn mint_user_id(&self, email: &holdfast_domain::Email) -> UserId {
        crate::account::mint_user_id(email, self.now())
    }

    /// Makes an id for a session, in the shard of its account's address.
    pub fn mint_session_id(&self, email: &holdfast_domain::Email) -> SessionId {
        SessionId::mint_in(crate::account::shard_of_email(email), self.now(), self.entropy())
    }

    /// Makes an id for an order, in the shard of its lowest product id.
    pub fn mint_order_id(&self, shard: ShardId) -> holdfast_domain::OrderId {
        holdfast_domain::OrderId::mint_in(shard, self.now(), self.entropy())
    }

    /// Sends a request for a change to its owner.
    async fn change<T: FromReply>(&self, request: Request, mutation: &Mutation) -> Result<Done<T>, Error> {
        self.ask(request, &mutation.context, Some(&mutation.operation))
            .await
    }

    async fn ask<T: FromReply>(
        &self,
        request: Request,
        context: &CallContext,
        operation: Option<&holdfast_domain::Operation>,
    ) -> Result<Done<T>, Error> {
        let written = Written::by(&request);
        // Boxed: it is the larger part of every handler's future, which is moved whole through all that
        // wraps a handler.
        let outcome = Box::pin(crate::router::route(&self.shared, request, context, operation)).await;
        let reply = outcome.as_ref().ok().map(|done| &done.value);
        self.shared.caches.wrote(written, reply);
        let done = outcome?;
        let value = T::from_reply(done.value).ok_or(Error::WrongReply)?;
        Ok(Done {
            value,
            replayed: done.replayed,
        })
    }

    /// Polls the database until `read` finds a state that is fresh enough, within `budget`.
    async fn await_version<T, F>(
        &self,
        min_version: Option<i64>,
        budget: Duration,
        mut read: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(i64, T), Error>>,
    {
        let deadline = tokio::time::Instant::now() + budget;
        loop {
            let (version, value) = read().await?;
            if min_version.is_none_or(|least| version >= least) {
                return Ok(value);
            }
            let next = tokio::time::Instant::now() + Duration::from_millis(50);
            if next > deadline {
                return Err(Error::unavailable(
                    "no state of the wanted version within the budget",
                ));
            }
            tokio::time::sleep_until(next).await;
        }
    }
}
