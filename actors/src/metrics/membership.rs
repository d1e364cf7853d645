//! Membership: heartbeats, deaths, and shards that change hands.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, Result};

use super::{Registrar, SECONDS};

/// What the membership counts.
#[derive(Clone)]
pub(crate) struct MembershipMetrics {
    heartbeats: IntCounter,
    heartbeats_failed: IntCounter,
    declared_dead: IntCounter,
    takeovers: IntCounter,
    claimed: IntCounter,
    claim: Histogram,
    handed_over: IntCounter,
    hand_over: Histogram,
}

impl MembershipMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        Ok(Self {
            heartbeats: registrar.counter(
                "holdfast_heartbeats_total",
                "Heartbeats of this node that went through.",
            )?,
            heartbeats_failed: registrar.counter(
                "holdfast_heartbeats_failed_total",
                "Heartbeats of this node that failed.",
            )?,
            declared_dead: registrar.counter(
                "holdfast_nodes_declared_dead_total",
                "Incarnations of other nodes that this node declared dead.",
            )?,
            takeovers: registrar.counter(
                "holdfast_takeovers_total",
                "How often this node took shards that had no living owner.",
            )?,
            claimed: registrar.counter(
                "holdfast_shards_claimed_total",
                "Shards that this node took in this way.",
            )?,
            claim: registrar.histogram(
                "holdfast_takeover_duration_seconds",
                "How long it took to claim shards that had no living owner, until they were open.",
                SECONDS,
            )?,
            handed_over: registrar.counter(
                "holdfast_shards_handed_over_total",
                "Shards that this node handed over to others.",
            )?,
            hand_over: registrar.histogram(
                "holdfast_hand_over_duration_seconds",
                "How long the requests of shards waited while they were handed over.",
                SECONDS,
            )?,
        })
    }

    /// Counts a heartbeat.
    pub(crate) fn beat(&self) {
        self.heartbeats.inc();
    }

    /// Counts a heartbeat that failed.
    pub(crate) fn beat_failed(&self) {
        self.heartbeats_failed.inc();
    }

    /// Counts another node that was declared dead.
    pub(crate) fn declared_dead(&self) {
        self.declared_dead.inc();
    }

    /// Counts shards that were claimed and opened.
    pub(crate) fn took_over(&self, shards: usize, took: Duration) {
        if shards > 0 {
            self.takeovers.inc();
            self.claimed.inc_by(shards as u64);
            self.claim.observe(took.as_secs_f64());
        }
    }

    /// Counts shards that were handed over.
    pub(crate) fn handed_over(&self, shards: usize, took: Duration) {
        if shards > 0 {
            self.handed_over.inc_by(shards as u64);
            self.hand_over.observe(took.as_secs_f64());
        }
    }
}
