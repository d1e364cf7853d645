//! Deciding about one request: by a lease, by the owner, or by this node's share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::clock::Clock as _;
use holdfast_domain::{ShardId, id::SHARD_COUNT};
use holdfast_store::Service;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    BudgetCounters, BudgetOptions, Class, Policy, Rate, Subject,
    buckets::{Buckets, Drawn},
    clock::Uptime,
    counters::Tally,
    leases::{LeaseRules, Leases, Step},
    policy::Key,
};
use crate::{
    command::{Draw, Grant, Reply, Request},
    node::Shared,
    router::{self, CallError},
    wire::{OLDEST_VERSION, RemoteError},
};

/// How long an owner may take to answer. Its answer is of use even to requests that come later.
const FETCH_LIMIT: Duration = Duration::from_millis(250);
/// For how long the owner of a shard is not asked again after it did not answer in time.
const BREAK: Duration = Duration::from_millis(200);
/// Owners that are being asked at a time; there are fewer calls than the link takes.
const FETCHES_MAX: usize = 128;
/// Owners that one lease is asked of, the second one after a look at the map.
const OWNERS_MAX: usize = 2;
/// How often one request looks again, when others were answered before it.
const LOOKS_MAX: usize = 16;
/// Places at which requests wait for leases.
const DOORS: usize = 64;
/// A lease is at most this part of an edge's share of the burst.
const LEASE_PART: u32 = 4;

/// What was decided about a request, and what its client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The rule that was applied.
    pub policy: Policy,
    /// The rule's rate.
    pub rate: Rate,
    /// Whether the request is to be served.
    pub is_admitted: bool,
    /// How many more would be, as far as this node knows.
    pub remaining: u32,
    /// If it is refused, the time after which one may be admitted; else the time after which the
    /// whole burst is there again.
    pub wait: Duration,
}

/// A node's part in the cluster's budgets: the buckets that it owns, the leases that it holds, and
/// its shares for when an owner does not answer.
pub(crate) struct Budget {
    options: BudgetOptions,
    clock: Uptime,
    owned: Buckets<Uptime>,
    shares: Buckets<Uptime>,
    leases: Leases,
    fetches: Arc<Semaphore>,
    /// Until when each shard's owner is not asked.
    broken: Vec<AtomicU64>,
    doors: Vec<Notify>,
    tally: Tally,
}

impl Budget {
    pub(crate) fn new(options: BudgetOptions) -> Self {
        let clock = Uptime::begin();
        let rules = LeaseRules {
            ttl: nanos(options.lease_ttl),
            patience: nanos(FETCH_LIMIT),
        };
        Self {
            clock,
            owned: Buckets::new(&options.rates, options.max_tracked, &clock),
            shares: Buckets::new(&options.rates, options.max_tracked, &clock),
            leases: Leases::new(options.max_tracked, rules),
            fetches: Arc::new(Semaphore::new(FETCHES_MAX)),
            broken: (0..SHARD_COUNT).map(|_| AtomicU64::new(0)).collect(),
            doors: (0..DOORS).map(|_| Notify::new()).collect(),
            tally: Tally::default(),
            options,
        }
    }

    /// Draws on a bucket that this node owns.
    pub(crate) fn draw(&self, draw: &Draw) -> Grant {
        let key = Key {
            class: draw.class,
            subject: draw.subject,
        };
        let drawn = self.owned.draw_up_to(&key, draw.wanted);
        Grant {
            tokens: drawn.tokens,
            remaining: drawn.remaining,
            wait_ns: nanos(drawn.wait),
        }
    }

    /// Forgets what tells nothing any more.
    pub(crate) fn tidy(&self) {
        self.owned.forget_full();
        self.shares.forget_full();
        self.leases.forget_expired(self.now());
    }

    /// Returns what was decided so far.
    pub(crate) fn counters(&self) -> BudgetCounters {
        let tracked = self.owned.len() + self.shares.len() + self.leases.len();
        let bytes = self.owned.bytes() + self.shares.bytes() + self.leases.bytes();
        self.tally.snapshot(tracked, bytes)
    }

    /// Decides about one request, within [`BudgetOptions::lease_wait`].
    pub(crate) async fn admit(&self, shared: &Shared, class: Class, subject: Subject) -> Admission {
        let admission = self.decide(shared, Key { class, subject }).await;
        if !admission.is_admitted {
            self.tally.refused(class);
        }
        admission
    }

    async fn decide(&self, shared: &Shared, key: Key) -> Admission {
        let shard = key.subject.shard();
        let deadline = Instant::now() + self.options.lease_wait;
        for _ in 0..LOOKS_MAX {
            if let Some(drawn) = self.draw_here(shared, &key, shard) {
                return self.answer(&key, drawn);
            }
            let is_broken = self.now() < self.broken[usize::from(shard.0)].load(Relaxed);
            if is_broken || !is_known_to_owner(shared, &key, shard) {
                return self.share(shared, &key);
            }
            let door = self.doors[usize::from(shard.0) % DOORS].notified();
            tokio::pin!(door);
            // From here on no answer is missed.
            door.as_mut().enable();
            let now = self.now();
            match self.leases.step(&key, now, self.largest_lease(shared, &key)) {
                Step::Admit { remaining } => return self.answer(&key, Drawn::one(remaining)),
                Step::Refuse { wait } => return self.answer(&key, Drawn::nothing(wait)),
                Step::Fetch { wanted } => self.fetch(shared, key, wanted, now),
                Step::Await => {}
            }
            if timeout_at(deadline, door).await.is_err() {
                // Others need not wait as long for the same owner.
                self.break_off(shard);
                break;
            }
        }
        self.share(shared, &key)
    }

    /// Draws one token from the bucket, if it is here.
    fn draw_here(&self, shared: &Shared, key: &Key, shard: ShardId) -> Option<Drawn> {
        let shard = shared.shards.get(Service::Sessions, shard)?;
        let _passage = shard.enter().ok()?;
        shared.is_current().then(|| self.owned.draw_up_to(key, 1))
    }

    /// Decides by this node's share: each edge admits its part of the rate.
    fn share(&self, shared: &Shared, key: &Key) -> Admission {
        self.tally.shared();
        let drawn = self.shares.draw_whole(key, shared.map().edges());
        self.answer(key, drawn)
    }

    fn answer(&self, key: &Key, drawn: Drawn) -> Admission {
        let policy = key.policy();
        let rate = self.options.rates.of(policy);
        let is_admitted = drawn.tokens > 0;
        // An owner with other settings may have more.
        let remaining = drawn.remaining.min(rate.burst);
        Admission {
            policy,
            rate,
            is_admitted,
            remaining,
            wait: if is_admitted {
                rate.whole_after(remaining)
            } else {
                drawn.wait
            },
        }
    }

    fn largest_lease(&self, shared: &Shared, key: &Key) -> u32 {
        self.options.rates.of(key.policy()).burst / shared.map().edges().saturating_mul(LEASE_PART).max(1)
    }

    /// Asks the owner for tokens, beside the request that wants them: the answer may come too late
    /// for that one, but not for the next.
    fn fetch(&self, shared: &Shared, key: Key, wanted: u32, asked_at: u64) {
        let Ok(permit) = Arc::clone(&self.fetches).try_acquire_owned() else {
            self.leases.failed(&key, asked_at);
            self.break_off(key.subject.shard());
            return;
        };
        self.tally.leased();
        tokio::spawn(fetch(shared.clone(), key, wanted, asked_at, permit));
    }

    fn fetched(&self, key: &Key, asked_at: u64, wanted: u32, outcome: Option<Grant>) {
        let shard = key.subject.shard();
        if let Some(grant) = outcome {
            self.leases.granted(key, asked_at, self.now(), grant, wanted);
            self.broken[usize::from(shard.0)].store(0, Relaxed);
            self.open(shard);
        } else {
            self.leases.failed(key, asked_at);
            self.break_off(shard);
        }
    }

    fn break_off(&self, shard: ShardId) {
        let until = self.now().saturating_add(nanos(BREAK));
        self.broken[usize::from(shard.0)].store(until, Relaxed);
        self.open(shard);
    }

    /// Lets those who wait for a shard's owner look again.
    fn open(&self, shard: ShardId) {
        self.doors[usize::from(shard.0) % DOORS].notify_waiters();
    }

    fn now(&self) -> u64 {
        self.clock.now().as_u64()
    }
}

async fn fetch(shared: Shared, key: Key, wanted: u32, asked_at: u64, _permit: OwnedSemaphorePermit) {
    let draw = Draw {
        class: key.class,
        subject: key.subject,
        wanted,
    };
    let outcome = ask_owner(&shared, draw).await;
    if let Some(budget) = &shared.budget {
        budget.fetched(&key, asked_at, wanted, outcome);
    }
}

/// Tells whether the release of a bucket's owner knows budgets of its class; asking one that does not
/// would look as if it had failed.
fn is_known_to_owner(shared: &Shared, key: &Key, shard: ShardId) -> bool {
    if key.class.since() <= OLDEST_VERSION {
        return true;
    }
    let draw = Draw {
        class: key.class,
        subject: key.subject,
        wanted: 1,
    };
    let owner = shared.map().reachable_owner(Service::Sessions, shard);
    owner.is_none_or(|owner| owner == shared.node_id || router::knows(shared, owner, &Request::Budget(draw)))
}

/// Asks the owner of a bucket once, and once more if it has moved.
async fn ask_owner(shared: &Shared, draw: Draw) -> Option<Grant> {
    let request = Request::Budget(draw);
    for _ in 0..OWNERS_MAX {
        match router::ask_once(shared, &request, FETCH_LIMIT).await {
            Ok(answer) => {
                return match answer.result {
                    Ok(Reply::Grant(grant)) => Some(grant),
                    Ok(_) | Err(_) => None,
                };
            }
            Err(CallError::Remote(RemoteError::NotOwner { .. })) => shared.refresh_map().await,
            // Not worth a line in the log for each: the share decides, and counts.
            Err(CallError::Remote(_) | CallError::Link(_) | CallError::Wire(_) | CallError::Unknown) => {
                return None;
            }
        }
    }
    None
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
