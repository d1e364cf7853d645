//! What a lane counts: batches, how they end, and how long intents wait for them.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Result};

use super::{Registrar, SECONDS};
use crate::lane::BatchEnd;

/// Bounds of buckets for the number of intents in a batch.
const INTENTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What a lane counts.
#[derive(Clone)]
pub(crate) struct LaneMetrics {
    batch_intents: Histogram,
    commit: Histogram,
    wait: Histogram,
    waiting: IntGauge,
    ends: IntCounterVec,
    overloaded: IntCounter,
    unknown: IntCounter,
}

impl LaneMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        Ok(Self {
            batch_intents: registrar.histogram(
                "holdfast_lane_batch_intents",
                "Intents that were sent in one batch.",
                INTENTS,
            )?,
            commit: registrar.histogram(
                "holdfast_lane_commit_duration_seconds",
                "How long a batch took from being sent until its outcome was known.",
                SECONDS,
            )?,
            wait: registrar.histogram(
                "holdfast_lane_wait_seconds",
                "How long an intent waited until its batch was sent.",
                SECONDS,
            )?,
            waiting: registrar.gauge(
                "holdfast_lane_waiting_intents",
                "Intents that wait for the next batch.",
            )?,
            ends: registrar.counters(
                "holdfast_lane_batches_total",
                "Batches by how they ended.",
                "end",
                &["committed", "fenced", "conflicts", "duplicates", "rejected"],
            )?,
            overloaded: registrar.counter(
                "holdfast_lane_refused_intents_total",
                "Intents that were turned away because too many waited.",
            )?,
            unknown: registrar.counter(
                "holdfast_lane_unknown_commits_total",
                "Attempts at a commit whose outcome was unknown, and which were made again.",
            )?,
        })
    }

    /// Counts a batch that is sent.
    pub(crate) fn sent(&self, waited: impl Iterator<Item = Duration>) {
        let mut intents = 0_u32;
        for wait in waited {
            self.wait.observe(wait.as_secs_f64());
            intents += 1;
        }
        self.batch_intents.observe(f64::from(intents));
    }

    /// Counts a batch whose outcome is known, `took` after it was sent.
    pub(crate) fn ended(&self, end: &BatchEnd, took: Duration) {
        self.commit.observe(took.as_secs_f64());
        let end = match end {
            BatchEnd::Committed => "committed",
            BatchEnd::Fenced => "fenced",
            BatchEnd::Conflicts(_) => "conflicts",
            BatchEnd::Duplicates(_) => "duplicates",
            BatchEnd::Rejected => "rejected",
        };
        self.ends.with_label_values(&[end]).inc();
    }

    /// Counts an attempt whose outcome is unknown.
    pub(crate) fn unknown(&self) {
        self.unknown.inc();
    }

    /// Counts an intent that was turned away.
    pub(crate) fn overloaded(&self) {
        self.overloaded.inc();
    }

    /// Notes how many intents wait.
    pub(crate) fn waiting(&self, intents: usize) {
        self.waiting.set(i64::try_from(intents).unwrap_or(i64::MAX));
    }
}
