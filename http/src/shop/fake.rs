//! A shop that does what a test says.

#![expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "the fake has the signatures of the real one"
)]

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_actors::{
    Error,
    budget::{Class, Subject},
    client::{
        ClusterView, Freshness, Health, NodeState, NodeView, Page, PageRequest, Read, Service, ShardView,
    },
    command::{Done, Login, Mutation},
};
use holdfast_domain::{
    Caller, Email, NodeId, Operation, OrderId, Refusal, SessionId, ShardId, Timestamp, UserId, id::Entropy,
};

mod accounts;
mod budgets;
mod catalogue;
mod events;
mod orders;

pub(crate) use events::EventStream;

/// The version of everything that the fake makes.
pub(crate) const VERSION: i64 = 7;

const NOW: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

/// How the shop takes what it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Cannot be reached.
    Down,
    /// Does everything; a key that comes again is a replay.
    Serves,
    /// Refuses everything; a key that comes again is a replay of the refusal.
    Refuses(Refusal),
}

/// A shop that does what a test says.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Mutex<State>>);

struct State {
    mood: Mood,
    operations: Vec<Operation>,
    freshness: Freshness,
    login: Option<Login>,
    metrics: prometheus::Registry,
    verdict: Option<budgets::Verdict>,
    counted: Vec<(Class, Subject)>,
}

impl Shop {
    /// Makes a shop of this mood.
    pub(crate) fn new(mood: Mood) -> Self {
        Self(Arc::new(Mutex::new(State {
            mood,
            operations: Vec::new(),
            freshness: Freshness::default(),
            login: None,
            metrics: prometheus::Registry::new(),
            verdict: None,
            counted: Vec::new(),
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the operations that were asked for, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.with(|state| state.operations.clone())
    }

    /// Returns how fresh the last read was to be.
    pub(crate) fn freshness(&self) -> Freshness {
        self.with(|state| state.freshness)
    }

    /// Returns the last login.
    pub(crate) fn last_login(&self) -> Login {
        self.with(|state| state.login.clone()).expect("a login")
    }

    fn answer<T>(&self, value: T) -> Result<T, Error> {
        self.decide(value, false)
    }

    fn decide<T>(&self, value: T, replayed: bool) -> Result<T, Error> {
        match self.with(|state| state.mood.clone()) {
            Mood::Serves => Ok(value),
            Mood::Refuses(refusal) => Err(Error::Refused { refusal, replayed }),
            Mood::Down => {
                let retry_after = std::time::Duration::from_secs(1);
                Err(Error::Unavailable {
                    retry_after,
                    reason: "the test says so",
                })
            }
        }
    }

    fn done<T>(&self, mutation: &Mutation, value: T) -> Result<Done<T>, Error> {
        let operation = mutation.operation.clone();
        let replayed = self.with(|state| {
            let replayed = state
                .operations
                .iter()
                .any(|earlier| earlier.key == operation.key);
            state.operations.push(operation);
            replayed
        });
        Ok(Done {
            value: self.decide(value, replayed)?,
            replayed,
        })
    }

    fn read<T>(&self, freshness: Freshness, value: T) -> Result<Read<T>, Error> {
        self.with(|state| state.freshness = freshness);
        Ok(Read {
            value: self.answer(value)?,
            staleness_ms: 40,
        })
    }

    fn page<T, K>(&self, request: &PageRequest<K>, item: T, key: K) -> Result<Page<T, K>, Error> {
        // Two pages: the second begins after the first one's key.
        let next = request.after.is_none().then_some(key);
        self.answer(Page {
            items: vec![item],
            next,
        })
    }
}

/// The methods of the real one.
impl Shop {
    pub(crate) fn now(&self) -> Timestamp {
        NOW
    }

    pub(crate) fn clock(&self) -> Timestamp {
        NOW
    }

    pub(crate) fn entropy(&self) -> Entropy {
        let mut entropy = [0; 10];
        aws_lc_rs::rand::fill(&mut entropy).expect("randomness");
        entropy
    }

    pub(crate) fn mint_user_id(&self, _: &Email) -> UserId {
        UserId::mint(NOW, self.entropy())
    }

    pub(crate) fn mint_session_id(&self, _: &Email) -> SessionId {
        SessionId::mint(NOW, self.entropy())
    }

    pub(crate) fn mint_order_id(&self, shard: ShardId) -> OrderId {
        OrderId::mint_in(shard, NOW, self.entropy())
    }

    pub(crate) async fn signing_keys(&self) -> Result<Vec<(String, String)>, Error> {
        self.answer(vec![("shared".to_owned(), crate::token::test_key())])
    }

    pub(crate) async fn access(&self, caller: &Caller) -> Result<Caller, Error> {
        Ok(*caller)
    }

    pub(crate) fn cluster(&self, caller: &Caller) -> Result<ClusterView, Error> {
        caller.require_admin()?;
        let node_id = NodeId(caller.user_id.0);
        let node = NodeView {
            node_id,
            name: "n1".to_owned(),
            state: NodeState::Active,
            roles: vec!["edge".to_owned()],
            api_addr: "127.0.0.1:8080".to_owned(),
            link_addr: "127.0.0.1:10080".to_owned(),
            heartbeat_age_ms: 120,
            connected: true,
        };
        let shard = ShardView {
            service: Service::Orders,
            shard: ShardId(17),
            owner: Some(node_id),
            epoch: 1,
        };
        self.answer(ClusterView {
            map_version: 12,
            node_id,
            nodes: vec![node],
            shards: vec![shard],
        })
    }

    pub(crate) async fn node_drain(&self, caller: &Caller, name: &str) -> Result<NodeView, Error> {
        let nodes = self.cluster(caller)?.nodes;
        let node = nodes.into_iter().find(|node| node.name == name);
        let state = NodeState::Draining;
        node.map(|node| NodeView { state, ..node })
            .ok_or_else(|| Refusal::NotFound.into())
    }

    pub(crate) fn metrics(&self) -> prometheus::Registry {
        self.with(|state| state.metrics.clone())
    }

    pub(crate) async fn health(&self) -> Health {
        let is_well = self.answer(()).is_ok();
        Health {
            database: is_well,
            migrations: is_well,
            membership: is_well,
            draining: false,
        }
    }
}
