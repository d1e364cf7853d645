//! The monotonic clock that budgets run on.

use std::time::Instant;

use governor::{clock::Clock, nanos::Nanos};

/// The time since the node began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime(Instant);

impl Uptime {
    /// Starts from nothing.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Uptime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}
