//! What a request brings, as warp filters and the types they extract.
//!
//! A filter that cannot extract rejects with a [`Problem`](crate::problem::Problem) or with one of
//! warp's own rejections, which name the header; both become a problem where the route ends.

mod body;
mod checks;
mod context;
mod freshness;
mod id;
mod json;
mod page;
mod patch;
mod peer;
mod precondition;
mod proxy;
mod query;
mod submission;
pub(crate) mod trace;
mod wording;

pub(crate) use body::{Body, bounded_body};
pub(crate) use checks::Checks;
pub(crate) use context::{RequestContext, context};
pub(crate) use freshness::freshness;
pub(crate) use id::RequestId;
pub(crate) use json::{parse, parse_or_default};
pub(crate) use page::{ListRequest, invalid_cursor, invalid_position};
pub(crate) use patch::Patch;
pub(crate) use peer::client_address;
pub(crate) use precondition::{IfNoneMatch, if_match, if_none_match};
pub use proxy::{BadTrustedProxy, TrustedProxy};
#[cfg(test)]
pub(crate) use query::tests::query_of;
pub(crate) use query::{Query, query};
pub(crate) use submission::{Submission, optional_key, required_key};
