//! What the parts of a node keep anyway, looked up when the registry is read.
//!
//! A part that keeps plain counters is shown here, one line a family; it need not know Prometheus.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use holdfast_domain::Timestamp;
use holdfast_store::{NodeState, Service, StockBreaches};
use parking_lot::Mutex;
use prometheus::Result;

use super::{Kind, Registrar, Sample, sales::approximately};
use crate::{
    budget::{Budget, Class},
    cache::CacheCounters,
    node::{Inner, Shared},
};

/// Shows what the parts of this node keep, for as long as it lives.
pub(crate) fn watch(shared: &Shared) -> Result<()> {
    let watched = Watched {
        registrar: Registrar::new(&shared.metrics.registry),
        node: Arc::downgrade(shared),
    };
    watched.entities()?;
    watched.cluster()?;
    watched.link()?;
    watched.pool()?;
    watched.stock()?;
    watched.outbox()?;
    watched.consumers()?;
    watched.cache()?;
    watched.limits()
}

struct Watched<'a> {
    registrar: Registrar<'a>,
    node: Weak<Inner>,
}

impl Watched<'_> {
    fn show(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[&str],
        look: impl Fn(&Inner) -> Vec<Sample> + Send + Sync + 'static,
    ) -> Result<()> {
        let node = self.node.clone();
        let look_up = move || node.upgrade().map(|node| look(&node)).unwrap_or_default();
        self.registrar.sampled(kind, name, help, labels, look_up)
    }

    fn gauge(
        &self,
        name: &str,
        help: &str,
        look: impl Fn(&Inner) -> f64 + Send + Sync + 'static,
    ) -> Result<()> {
        self.show(Kind::Gauge, name, help, &[], move |node| {
            vec![Sample::of(look(node))]
        })
    }

    fn counter(
        &self,
        name: &str,
        help: &str,
        look: impl Fn(&Inner) -> u64 + Send + Sync + 'static,
    ) -> Result<()> {
        self.show(Kind::Counter, name, help, &[], move |node| {
            vec![Sample::of(approximately(look(node)))]
        })
    }

    fn entities(&self) -> Result<()> {
        self.show(
            Kind::Gauge,
            "holdfast_entities",
            "Entities in this node's memory.",
            &["kind"],
            |node| {
                let residents = node.shards.residents();
                residents
                    .map(|(kind, count)| Sample::labelled([kind], counted(count)))
                    .into()
            },
        )?;
        self.show(
            Kind::Gauge,
            "holdfast_shards_owned",
            "Shards that this node has open.",
            &["service"],
            |node| {
                let owned = |service: Service| {
                    Sample::labelled([service.as_str()], counted(node.shards.owned(service).len()))
                };
                Service::ALL.map(owned).into()
            },
        )
    }

    fn cluster(&self) -> Result<()> {
        self.gauge(
            "holdfast_node_serving",
            "1 while this node is an active member and not about to leave.",
            |node| f64::from(node.is_serving() && !node.is_draining()),
        )?;
        self.gauge(
            "holdfast_heartbeat_age_seconds",
            "How long ago this node's last heartbeat was sent that went through.",
            |node| node.pulse.age().as_secs_f64(),
        )?;
        self.gauge(
            "holdfast_cluster_map_version",
            "The version of the cluster map that this node goes by.",
            // Counts from 0.
            |node| approximately(node.map().version().unsigned_abs()),
        )?;
        self.show(
            Kind::Gauge,
            "holdfast_cluster_nodes",
            "Nodes by state, as this node knows them.",
            &["state"],
            |node| {
                let map = node.map();
                let of = |state: NodeState| {
                    let count = map.members().filter(|member| member.state == state).count();
                    Sample::labelled([state.as_str()], counted(count))
                };
                [NodeState::Joining, NodeState::Active, NodeState::Draining]
                    .map(of)
                    .into()
            },
        )?;
        self.gauge(
            "holdfast_cluster_unowned_shards",
            "Shards without an owner that could be asked, as this node knows them.",
            |node| {
                let map = node.map();
                let unowned = map
                    .shards()
                    .filter(|(service, shard, _)| map.reachable_owner(*service, *shard).is_none());
                counted(unowned.count())
            },
        )
    }

    fn link(&self) -> Result<()> {
        self.gauge(
            "holdfast_link_peers",
            "Other nodes that this node can call.",
            |node| counted(node.link.connected().len()),
        )?;
        self.gauge(
            "holdfast_link_calls_in_flight",
            "Calls to other nodes that wait for their answer.",
            |node| approximately(node.link.call_counters().in_flight),
        )?;
        self.show(
            Kind::Counter,
            "holdfast_link_calls_total",
            "Calls to other nodes by how they ended.",
            &["outcome"],
            |node| {
                let by_outcome = node.link.call_counters().by_outcome();
                by_outcome
                    .map(|(outcome, count)| Sample::labelled([outcome], approximately(count)))
                    .into()
            },
        )?;
        self.counter(
            "holdfast_link_calls_received_total",
            "Calls that came from other nodes.",
            |node| node.link.counters().calls_in,
        )?;
        self.show(
            Kind::Counter,
            "holdfast_link_bytes_total",
            "Bytes that passed between this node and others, without encryption.",
            &["direction"],
            |node| {
                let counters = node.link.counters();
                vec![
                    Sample::labelled(["in"], approximately(counters.bytes_in)),
                    Sample::labelled(["out"], approximately(counters.bytes_out)),
                ]
            },
        )?;
        self.counter(
            "holdfast_link_reconnects_total",
            "Sessions that came up with a peer that had one before.",
            |node| node.link.counters().reconnects,
        )
    }

    fn pool(&self) -> Result<()> {
        self.show(
            Kind::Gauge,
            "holdfast_pool_connections",
            "Connections to Postgres.",
            &["state"],
            |node| {
                let pool = node.store.pool_figures();
                let busy = pool.connections.saturating_sub(pool.idle);
                vec![
                    Sample::labelled(["idle"], f64::from(pool.idle)),
                    Sample::labelled(["busy"], f64::from(busy)),
                ]
            },
        )?;
        self.gauge(
            "holdfast_pool_max_connections",
            "Connections to Postgres that may be open at a time.",
            |node| f64::from(node.store.pool_figures().max),
        )?;
        self.show(
            Kind::Counter,
            "holdfast_pool_acquires_total",
            "How often a connection to Postgres was wanted, by whether it was got in time.",
            &["outcome"],
            |node| {
                let pool = node.store.pool_figures();
                vec![
                    Sample::labelled(["acquired"], approximately(pool.acquired)),
                    Sample::labelled(["failed"], approximately(pool.failed)),
                ]
            },
        )?;
        self.show(
            Kind::Counter,
            "holdfast_pool_wait_seconds_total",
            "How long connections to Postgres were waited for, all together.",
            &[],
            |node| vec![Sample::of(node.store.pool_figures().waited.as_secs_f64())],
        )
    }

    fn stock(&self) -> Result<()> {
        self.show(
            Kind::Gauge,
            "holdfast_stock_breaches",
            "Products whose counters break what must hold; told by one node of the cluster.",
            &["kind"],
            |node| {
                let found = node.stock_audit.last().map(|last| last.found);
                found.map_or_else(Vec::new, |found| {
                    vec![
                        Sample::labelled(["negative"], approximately(found.negative.unsigned_abs())),
                        Sample::labelled(["oversold"], approximately(found.oversold.unsigned_abs())),
                    ]
                })
            },
        )?;
        self.show(
            Kind::Gauge,
            "holdfast_stock_audit_timestamp_seconds",
            "When stock was last looked through for such products; told by one node of the cluster.",
            &[],
            |node| {
                let at = node
                    .stock_audit
                    .last()
                    .map(|last| last.at.unix_micros().unsigned_abs());
                at.map(|micros| Sample::of(approximately(micros) / 1e6))
                    .into_iter()
                    .collect()
            },
        )
    }
}

impl Watched<'_> {
    fn outbox(&self) -> Result<()> {
        self.gauge(
            "holdfast_outbox_lag_events",
            "Events of this node's shards that have not been relayed yet, readable or not.",
            |node| approximately(node.relay.status().lag.events),
        )?;
        self.gauge(
            "holdfast_outbox_oldest_seconds",
            "How long the oldest of them waits.",
            |node| approximately(node.relay.status().lag.oldest_ms) / 1e3,
        )?;
        self.gauge(
            "holdfast_outbox_horizon_age_seconds",
            "For how long one transaction of the database server has held all later events back.",
            |node| node.relay.status().held_for.as_secs_f64(),
        )?;
        self.counter(
            "holdfast_outbox_events_relayed_total",
            "Events that this node has relayed, repeats included.",
            |node| node.relay.status().told,
        )?;
        self.counter(
            "holdfast_outbox_failures_total",
            "Attempts to relay events that failed.",
            |node| node.relay.status().failures,
        )?;
        self.counter(
            "holdfast_outbox_events_refused_total",
            "Events that NATS will never take, for their size, and that became dead letters.",
            |node| node.relay.status().refused,
        )
    }

    fn consumers(&self) -> Result<()> {
        self.show(
            Kind::Gauge,
            "holdfast_consumer_tasks_waiting",
            "What a consumer has yet to do, such as mails; told by one node of the cluster.",
            &["consumer"],
            |node| node.backlogs.show(|backlog| backlog.waiting),
        )?;
        self.show(
            Kind::Gauge,
            "holdfast_consumer_oldest_task_seconds",
            "How long the oldest of it waits; told by one node of the cluster.",
            &["consumer"],
            |node| node.backlogs.show(|backlog| backlog.oldest_ms / 1_000),
        )?;
        self.show(
            Kind::Gauge,
            "holdfast_consumer_dead_letters",
            "Events that a consumer has given up, until an operator decides; told by one node of the cluster.",
            &["consumer"],
            |node| node.backlogs.show(|backlog| backlog.dead_letters),
        )
    }

    fn cache(&self) -> Result<()> {
        self.show(
            Kind::Counter,
            "holdfast_cache_reads_total",
            "Reads of the catalogue's caches at this edge, by whether the cache had the answer.",
            &["cache", "outcome"],
            |node| {
                let stats = node.caches.stats();
                let of = |cache, counters: CacheCounters| {
                    [("hit", counters.hits), ("miss", counters.misses)]
                        .map(|(outcome, count)| Sample::labelled([cache, outcome], approximately(count)))
                };
                [of("products", stats.products), of("lists", stats.lists)].concat()
            },
        )?;
        self.counter(
            "holdfast_cache_pushes_total",
            "Messages to other edges about what is out of date, acknowledged.",
            |node| node.caches.stats().pushes,
        )
    }

    fn limits(&self) -> Result<()> {
        self.show(
            Kind::Counter,
            "holdfast_rate_limit_refusals_total",
            "Requests that this edge has refused because a budget was spent.",
            &["class"],
            |node| {
                let counters = node.budget.as_ref().map(Budget::counters);
                let refused = |class: Class| {
                    let refused = counters.as_ref().map_or(0, |counters| counters.refused(class));
                    Sample::labelled([class.as_str()], approximately(refused))
                };
                Class::ALL.map(refused).into()
            },
        )?;
        self.counter(
            "holdfast_rate_limit_share_decisions_total",
            "Requests that this edge decided by its share of a budget, because the owner did not answer in time.",
            |node| node.budget.as_ref().map_or(0, |budget| budget.counters().by_share),
        )?;
        self.gauge(
            "holdfast_rate_limit_tracked",
            "Budgets, leases and shares that this node remembers.",
            |node| {
                node.budget
                    .as_ref()
                    .map_or(0.0, |budget| counted(budget.counters().tracked))
            },
        )
    }
}

fn counted(count: usize) -> f64 {
    approximately(count as u64)
}

/// What this node found when it last looked through the stock, if that is its affair.
#[derive(Default)]
pub(crate) struct StockAudit(Mutex<Option<LastAudit>>);

/// What an audit of the stock found.
#[derive(Clone, Copy)]
struct LastAudit {
    found: StockBreaches,
    /// On the Postgres clock.
    at: Timestamp,
    looked_at: Instant,
}

impl StockAudit {
    /// Tells whether none was made within the last `period`.
    pub(crate) fn is_due(&self, period: Duration) -> bool {
        self.last().is_none_or(|last| last.looked_at.elapsed() >= period)
    }

    /// Notes what an audit found.
    pub(crate) fn found(&self, found: StockBreaches, at: Timestamp) {
        let looked_at = Instant::now();
        *self.0.lock() = Some(LastAudit { found, at, looked_at });
    }

    /// Forgets, since another node looks from now on.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }

    fn last(&self) -> Option<LastAudit> {
        *self.0.lock()
    }
}
