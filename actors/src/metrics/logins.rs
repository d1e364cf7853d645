//! Logins, counted where they are decided: at the account's owner.

use holdfast_domain::Refusal;
use prometheus::{IntCounterVec, Result};

use super::Registrar;
use crate::{command::Answer, entity::Outcome};

/// Logins by result.
#[derive(Clone)]
pub(crate) struct LoginMetrics {
    results: IntCounterVec,
}

impl LoginMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        let results = registrar.counters(
            "holdfast_logins_total",
            "Logins by result, counted by the account's owner.",
            "result",
            &["succeeded", "invalid_credentials", "locked", "failed"],
        )?;
        Ok(Self { results })
    }

    /// Counts a login that is decided.
    pub(crate) fn decided(&self, outcome: &Outcome) {
        let result = match outcome {
            Ok(Answer { result: Ok(_), .. }) => "succeeded",
            Ok(Answer {
                result: Err(Refusal::InvalidCredentials),
                ..
            }) => "invalid_credentials",
            Ok(Answer {
                result: Err(Refusal::AccountLocked { .. }),
                ..
            }) => "locked",
            Ok(_) | Err(_) => "failed",
        };
        self.results.with_label_values(&[result]).inc();
    }
}
