//! A request for a change: its body, and the operation under which it is remembered.

use std::{str::FromStr, time::Duration};

use holdfast_actors::command::{CallContext, Mutation};
use holdfast_domain::{Fingerprint, Operation, OperationKey, operation::BadOperationKey};
use serde::Serialize;
use uuid::Uuid;
use warp::{Filter, Rejection, path::FullPath};

use super::RequestContext;
use crate::{digest::sha256, problem::Problem};

/// The value of an `Idempotency-Key` header.
struct IdempotencyKey(OperationKey);

impl FromStr for IdempotencyKey {
    type Err = BadOperationKey;

    fn from_str(value: &str) -> Result<Self, BadOperationKey> {
        OperationKey::parse(value).map(Self)
    }
}

/// Extracts the operation key that a client may give.
pub(crate) fn optional_key() -> impl Filter<Extract = (Option<OperationKey>,), Error = Rejection> + Copy {
    warp::header::optional::<IdempotencyKey>("idempotency-key")
        .map(|key: Option<IdempotencyKey>| key.map(|key| key.0))
}

/// Extracts the operation key that a client must give.
pub(crate) fn required_key() -> impl Filter<Extract = (Option<OperationKey>,), Error = Rejection> + Copy {
    warp::header::header::<IdempotencyKey>("idempotency-key").map(|key: IdempotencyKey| Some(key.0))
}

/// A request for a change.
#[derive(Debug)]
pub(crate) struct Submission<B> {
    /// What is asked for.
    pub(crate) body: B,
    /// Where the request comes from.
    pub(crate) context: RequestContext,
    key: Option<OperationKey>,
    fingerprint: Fingerprint,
    budget: Duration,
}

impl<B: Serialize> Submission<B> {
    /// Joins what a request brought.
    ///
    /// The fingerprint covers the body as it was understood, so that neither spaces nor the order of
    /// members make another request of it. It is stored: types of bodies leave their secrets out.
    pub(crate) fn new(
        body: B,
        context: RequestContext,
        path: &FullPath,
        key: Option<OperationKey>,
        budget: Duration,
    ) -> Result<Self, Problem> {
        let canonical = serde_json::to_vec(&body).map_err(|error| {
            tracing::error!(%error, "a body could not be written as JSON");
            Problem::internal()
        })?;
        let fingerprint = Fingerprint(sha256(&[path.as_str().as_bytes(), b"\0", &canonical]));
        Ok(Self {
            body,
            context,
            key,
            fingerprint,
            budget,
        })
    }

    /// Splits into what is asked for and the operation of `principal` that asks it.
    ///
    /// Without a key of the client's the operation gets one of its own, under which the edge may send
    /// it again when an answer was lost.
    pub(crate) fn into_parts(self, principal: Uuid) -> (Mutation, B) {
        let named_by_client = self.key.is_some();
        let operation = Operation {
            principal,
            route: self.context.route().to_owned(),
            key: self.key.unwrap_or_else(|| OperationKey::made(Uuid::now_v7())),
            fingerprint: self.fingerprint,
            named_by_client,
        };
        let context = CallContext {
            traceparent: Some(self.context.trace().to_string()),
            budget: self.budget,
        };
        (Mutation { operation, context }, self.body)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::request::parse;

    #[derive(Debug, Deserialize, Serialize)]
    struct Body {
        name: String,
        attributes: holdfast_domain::JsonObject,
        #[serde(skip_serializing)]
        #[expect(dead_code, reason = "only that it is left out is of interest")]
        password: Option<String>,
    }

    fn fingerprint(json: &str) -> [u8; 32] {
        let body: Body = parse(json.as_bytes()).expect("a body");
        sha256(&[&serde_json::to_vec(&body).expect("JSON")])
    }

    #[test]
    fn spaces_and_the_order_of_members_do_not_make_another_request() {
        let one = fingerprint(r#"{"name":"x","attributes":{"a":1,"b":{"c":2,"d":3}}}"#);
        let same = fingerprint(r#"{ "attributes": {"b":{"d":3,"c":2},"a":1}, "name": "x" }"#);
        let other = fingerprint(r#"{"name":"x","attributes":{"a":1,"b":{"c":2,"d":4}}}"#);
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn a_secret_is_not_part_of_what_is_stored() {
        let one = fingerprint(r#"{"name":"x","attributes":{},"password":"one"}"#);
        let other = fingerprint(r#"{"name":"x","attributes":{},"password":"two"}"#);
        assert_eq!(one, other);
    }
}
