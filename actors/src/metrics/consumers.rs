//! What consumers have before them, as one node of the cluster counts it.

use holdfast_store::ConsumerBacklog;
use parking_lot::Mutex;

use super::{Sample, sales::approximately};
use crate::consumer;

/// What was counted last, if this node counts.
#[derive(Default)]
pub(crate) struct Backlogs(Mutex<Option<Vec<ConsumerBacklog>>>);

impl Backlogs {
    /// Notes what was counted.
    pub(crate) fn found(&self, backlogs: Vec<ConsumerBacklog>) {
        *self.0.lock() = Some(backlogs);
    }

    /// Forgets, since another node counts from now on.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }

    /// Shows a figure of every consumer, those that have nothing before them included; nothing if this
    /// node does not count.
    pub(super) fn show(&self, figure: impl Fn(&ConsumerBacklog) -> u64) -> Vec<Sample> {
        let backlogs = self.0.lock();
        let Some(backlogs) = &*backlogs else {
            return Vec::new();
        };
        let of = |name: &'static str| {
            let backlog = backlogs.iter().find(|backlog| backlog.consumer == name);
            Sample::labelled([name], approximately(backlog.map_or(0, &figure)))
        };
        consumer::NAMES.map(of).into()
    }
}
