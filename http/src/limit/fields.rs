//! The fields of draft-ietf-httpapi-ratelimit-headers, as structured fields (RFC 9651).
//!
//! Both are lists of strings with parameters, whole numbers all: `q` requests are allowed in `w`
//! seconds; `r` are left, and after `t` seconds there is more: the whole burst, or after a refusal
//! one request, as `Retry-After` says.

use std::time::Duration;

use holdfast_actors::budget::Admission;
use warp::http::HeaderValue;

/// Writes `RateLimit-Policy`, such as `"orders-caller";q=120;w=60`.
pub(super) fn policy(decisions: &[&Admission]) -> Option<HeaderValue> {
    list(decisions, |decision| {
        let (name, rate) = (decision.policy.as_str(), decision.rate);
        format!("\"{name}\";q={};w={}", rate.requests, seconds(rate.per))
    })
}

/// Writes `RateLimit`, such as `"orders-caller";r=59;t=1`.
pub(super) fn state(decisions: &[&Admission]) -> Option<HeaderValue> {
    list(decisions, |decision| {
        let t = if decision.is_admitted && decision.wait.is_zero() {
            0
        } else {
            seconds(decision.wait)
        };
        format!("\"{}\";r={};t={t}", decision.policy.as_str(), decision.remaining)
    })
}

/// Returns whole seconds, at least one: who comes back after them does not come too early.
pub(super) fn seconds(time: Duration) -> u32 {
    let whole = time.as_nanos().div_ceil(1_000_000_000);
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}

fn list(decisions: &[&Admission], item: impl Fn(&Admission) -> String) -> Option<HeaderValue> {
    if decisions.is_empty() {
        return None;
    }
    let items: Vec<String> = decisions.iter().map(|decision| item(decision)).collect();
    // Names of policies and numbers are a header value.
    HeaderValue::try_from(items.join(", ")).ok()
}
