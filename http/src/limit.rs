//! Rate limits, as the edge applies them.
//!
//! The budgets are the cluster's and stand in `holdfast_actors::budget`. Here each route has its
//! class, each request is counted - by its client's address before its route is entered, and by its
//! caller once the token is verified - and each answer says what is left. What a provider has signed is
//! the provider's alone, since all that it reports may come from one address; what nobody has signed is
//! its address's.

use std::sync::OnceLock;

use holdfast_actors::budget::{Admission, Class, Scope, Subject};
use warp::http::{HeaderMap, HeaderName};

use crate::{problem::Problem, shop::Shop};

mod class;
mod fields;

pub(crate) use class::class_of;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// What was decided about one request.
#[derive(Debug)]
pub(crate) struct Decisions {
    class: Option<Class>,
    by_address: OnceLock<Admission>,
    by_caller: OnceLock<Admission>,
}

impl Decisions {
    /// Begins with nothing; a request without a class is not counted.
    pub(crate) fn about(class: Option<Class>) -> Self {
        Self {
            class,
            by_address: OnceLock::new(),
            by_caller: OnceLock::new(),
        }
    }

    /// Counts the request as one of `subject`.
    ///
    /// # Errors
    /// `rate-limited`: it is one too many.
    pub(crate) async fn admit(&self, shop: &Shop, subject: Subject) -> Result<(), Problem> {
        let Some(class) = self.class else { return Ok(()) };
        let Some(admission) = shop.admit(class, subject).await else {
            return Ok(());
        };
        let decision = match subject.scope() {
            Scope::Address => &self.by_address,
            Scope::Caller => &self.by_caller,
        };
        // A request has one address and one caller; should a route ask twice, the first stands.
        let _ = decision.set(admission);
        if admission.is_admitted {
            Ok(())
        } else {
            Err(Problem::rate_limited(
                admission.policy.as_str(),
                fields::seconds(admission.wait),
            ))
        }
    }

    /// Counts a request that is about to be served as one of its client's address, if it is that already.
    ///
    /// # Errors
    /// `rate-limited`: it is one too many.
    pub(crate) async fn admit_address(&self, shop: &Shop, address: Subject) -> Result<(), Problem> {
        if self.class == Some(Class::Webhooks) {
            return Ok(());
        }
        self.admit(shop, address).await
    }

    /// Counts a request that has been served as one of its client's address, if it should have been
    /// signed and was not: nothing has been done.
    ///
    /// # Errors
    /// `rate-limited`: it is one too many.
    pub(crate) async fn admit_unsigned(&self, shop: &Shop, address: Subject) -> Result<(), Problem> {
        if self.class != Some(Class::Webhooks) || self.by_caller.get().is_some() {
            return Ok(());
        }
        self.admit(shop, address).await
    }

    /// Says in an answer's headers which policies were applied, and what is left.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let decisions = [self.by_address.get(), self.by_caller.get()];
        let decisions: Vec<&Admission> = decisions.into_iter().flatten().collect();
        if let (Some(policy), Some(state)) = (fields::policy(&decisions), fields::state(&decisions)) {
            headers.insert(POLICY, policy);
            headers.insert(STATE, state);
        }
    }
}

#[cfg(test)]
mod tests;
