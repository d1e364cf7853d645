//! Budgets of the fake: none, until a test sets one.

use holdfast_actors::budget::{Admission, Class, Subject};

use super::Shop;

/// Decides about a request.
pub(super) type Verdict = fn(Class, Subject) -> Option<Admission>;

impl Shop {
    /// Decides about requests by `verdict` from now on.
    pub(crate) fn limit(&self, verdict: Verdict) {
        self.with(|state| state.verdict = Some(verdict));
    }

    /// Returns what was counted since requests are limited, in order.
    pub(crate) fn counted(&self) -> Vec<(Class, Subject)> {
        self.with(|state| state.counted.clone())
    }

    pub(crate) async fn admit(&self, class: Class, subject: Subject) -> Option<Admission> {
        self.with(|state| {
            let verdict = state.verdict?;
            state.counted.push((class, subject));
            verdict(class, subject)
        })
    }
}
