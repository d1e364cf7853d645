//! Rates, as `[limits]` has them.

use std::time::Duration;

use holdfast_actors::budget::Rate;
use serde::{Deserialize, Serialize};

/// How often something may be asked: `{ requests = 60, per = "1m", burst = 20 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSettings {
    /// So many requests.
    pub requests: u32,
    /// In this time.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
    /// How many may come at once, after a pause.
    pub burst: u32,
}

impl From<Rate> for RateSettings {
    fn from(rate: Rate) -> Self {
        Self {
            requests: rate.requests,
            per: rate.per,
            burst: rate.burst,
        }
    }
}

impl From<RateSettings> for Rate {
    fn from(rate: RateSettings) -> Self {
        Self {
            requests: rate.requests,
            per: rate.per,
            burst: rate.burst,
        }
    }
}
