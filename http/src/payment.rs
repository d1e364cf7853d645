//! What payment providers report: who they are is shown by a signature, not by a token.

mod keys;
mod report;
mod signature;

pub use keys::WebhookKeys;
pub(crate) use report::{__path_report, NAME_MAX_CHARS};

use crate::{edge::Edge, route::Route};

/// Lists the routes of payment providers.
pub(crate) fn routes(edge: &Edge) -> Vec<Route> {
    vec![report::route(edge)]
}

#[cfg(test)]
pub(crate) mod tests;
