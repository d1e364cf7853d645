//! Whether a request is one too many.

use super::Client;
use crate::budget::{Admission, BudgetCounters, Class, Subject};

impl Client {
    /// Counts a request of `subject` against the cluster's budget for calls of `class`, and tells
    /// whether it is to be served; `None` if nothing is limited.
    ///
    /// Returns within [`BudgetOptions::lease_wait`](crate::budget::BudgetOptions::lease_wait).
    pub async fn admit(&self, class: Class, subject: Subject) -> Option<Admission> {
        let budget = self.shared.budget.as_ref()?;
        Some(budget.admit(&self.shared, class, subject).await)
    }

    /// Returns what this node has decided about requests since it began, for metrics.
    pub fn budget_counters(&self) -> BudgetCounters {
        let budget = self.shared.budget.as_ref();
        budget.map(crate::budget::Budget::counters).unwrap_or_default()
    }
}
