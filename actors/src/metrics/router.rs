//! The router: how requests end, how often they are sent on and asked again.

use std::time::Duration;

use holdfast_store::Service;
use prometheus::{Histogram, IntCounter, Result};

use super::{Registrar, SECONDS};
use crate::{Error, command::Done};

/// How requests to one service end.
#[derive(Clone)]
struct Ends {
    answered: IntCounter,
    refused: IntCounter,
    unavailable: IntCounter,
    failed: IntCounter,
    took: Histogram,
}

/// What the router counts.
#[derive(Clone)]
pub(crate) struct RouterMetrics {
    /// By service, in the order of [`Service::ALL`].
    ends: [Ends; 3],
    here: IntCounter,
    elsewhere: IntCounter,
    hops: IntCounter,
    retries: IntCounter,
    calls: Histogram,
}

impl RouterMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        let ends = registrar.labelled_counters(
            "holdfast_router_requests_total",
            "Requests to entities by how they ended, all attempts together.",
            &["service", "outcome"],
        )?;
        let took = registrar.histograms(
            "holdfast_router_duration_seconds",
            "How long requests to entities took, all attempts together.",
            SECONDS,
            &["service"],
        )?;
        let attempts = registrar.counters(
            "holdfast_router_attempts_total",
            "Attempts by whether this node or another owned the shard.",
            "target",
            &["local", "remote"],
        )?;
        let of = |service: Service| {
            let counter = |outcome| ends.with_label_values(&[service.as_str(), outcome]);
            Ends {
                answered: counter("answered"),
                refused: counter("refused"),
                unavailable: counter("unavailable"),
                failed: counter("failed"),
                took: took.with_label_values(&[service.as_str()]),
            }
        };
        Ok(Self {
            ends: Service::ALL.map(of),
            here: attempts.with_label_values(&["local"]),
            elsewhere: attempts.with_label_values(&["remote"]),
            hops: registrar.counter(
                "holdfast_router_hops_total",
                "Attempts that went on at once because the shard had moved.",
            )?,
            retries: registrar.counter(
                "holdfast_router_retries_total",
                "Attempts that were made again after a pause.",
            )?,
            calls: registrar.histogram(
                "holdfast_link_call_duration_seconds",
                "How long calls to other nodes took that brought an answer.",
                SECONDS,
            )?,
        })
    }

    /// Counts a request that has ended.
    pub(crate) fn ended<T>(
        &self,
        service: Service,
        result: &std::result::Result<Done<T>, Error>,
        took: Duration,
    ) {
        let ends = &self.ends[usize::from(crate::router::service_number(service))];
        ends.took.observe(took.as_secs_f64());
        match result {
            Ok(_) => ends.answered.inc(),
            Err(Error::Refused { .. }) => ends.refused.inc(),
            Err(Error::Unavailable { .. }) => ends.unavailable.inc(),
            Err(Error::Store(_) | Error::WrongReply) => ends.failed.inc(),
        }
    }

    /// Counts an attempt at an entity of this node.
    pub(crate) fn here(&self) {
        self.here.inc();
    }

    /// Counts an attempt at an entity of another node.
    pub(crate) fn elsewhere(&self) {
        self.elsewhere.inc();
    }

    /// Counts a request that is sent on at once.
    pub(crate) fn hop(&self) {
        self.hops.inc();
    }

    /// Counts a request that is asked again.
    pub(crate) fn retry(&self) {
        self.retries.inc();
    }

    /// Counts a call that was answered.
    pub(crate) fn called(&self, took: Duration) {
        self.calls.observe(took.as_secs_f64());
    }
}
