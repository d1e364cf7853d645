//! Password hashing: how long it takes, and how long it is waited for.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge, Result};

use super::{Registrar, SECONDS};

/// What the hasher counts.
#[derive(Clone)]
pub(crate) struct HashingMetrics {
    took: Histogram,
    waited: Histogram,
    waiting: IntGauge,
    overloaded: IntCounter,
}

/// Somebody who waits for the hasher.
pub(crate) struct Waiting(IntGauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HashingMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        Ok(Self {
            took: registrar.histogram(
                "holdfast_password_hash_duration_seconds",
                "How long it took to hash or verify a password, once begun.",
                SECONDS,
            )?,
            waited: registrar.histogram(
                "holdfast_password_hash_wait_seconds",
                "How long a password waited for a thread to hash it.",
                SECONDS,
            )?,
            waiting: registrar.gauge(
                "holdfast_password_hash_waiting",
                "Passwords that wait for a thread to hash them.",
            )?,
            overloaded: registrar.counter(
                "holdfast_password_hash_refused_total",
                "Passwords that were turned away because too many waited, or for too long.",
            )?,
        })
    }

    /// Counts somebody who begins to wait, until what is returned is dropped.
    pub(crate) fn waits(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    /// Counts somebody who has waited.
    pub(crate) fn waited(&self, wait: Duration) {
        self.waited.observe(wait.as_secs_f64());
    }

    /// Counts a password that was hashed.
    pub(crate) fn took(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }

    /// Counts a password that was turned away.
    pub(crate) fn overloaded(&self) {
        self.overloaded.inc();
    }
}
