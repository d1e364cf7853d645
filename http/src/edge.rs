//! The edge: what all routes share, and the filters by which they ask for it.

use std::{convert::Infallible, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_actors::{budget::Subject, command::CallContext};
use holdfast_domain::{Caller, OperationKey, Refusal};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;
use warp::{
    Filter, Rejection,
    http::{HeaderMap, header::AUTHORIZATION},
    path::FullPath,
    reject,
};

use crate::{
    events::Streams,
    options::EdgeOptions,
    problem::Problem,
    request::{
        Body, RequestContext, Submission, bounded_body, context, optional_key, parse, parse_or_default,
        required_key,
    },
    shop::Shop,
    token::AccessTokens,
};

/// What all routes share.
#[derive(Clone)]
pub(crate) struct Edge(Arc<Shared>);

struct Shared {
    shop: Shop,
    tokens: AccessTokens,
    options: EdgeOptions,
    streams: Streams,
    closing: CancellationToken,
}

/// The token of an `Authorization: Bearer` header.
struct Bearer(String);

/// Another scheme, or no token.
#[derive(Debug)]
struct NotBearer;

impl FromStr for Bearer {
    type Err = NotBearer;

    fn from_str(value: &str) -> Result<Self, NotBearer> {
        token_of(value)
            .map(|token| Self(token.to_owned()))
            .ok_or(NotBearer)
    }
}

/// Returns the token that a header's value holds.
fn token_of(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Edge {
    pub(crate) fn new(shop: Shop, tokens: AccessTokens, options: EdgeOptions) -> Self {
        Self(Arc::new(Shared {
            shop,
            tokens,
            streams: Streams::new(options.max_event_streams, options.max_event_streams_per_user),
            options,
            closing: CancellationToken::new(),
        }))
    }

    /// Returns the whole shop.
    pub(crate) fn shop(&self) -> &Shop {
        &self.0.shop
    }

    /// Returns the signer and verifier of access tokens.
    pub(crate) fn tokens(&self) -> &AccessTokens {
        &self.0.tokens
    }

    /// Returns whose token stands in `headers`, if it has been verified before.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Caller> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        self.0.tokens.known(token_of(value)?)
    }

    /// Returns the edge's settings.
    pub(crate) fn options(&self) -> &EdgeOptions {
        &self.0.options
    }

    /// Returns the streams of events that there are.
    pub(crate) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// Returns what is cancelled when the edge begins to shut down: streams do not end by themselves.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Makes what a call that changes nothing brings along.
    pub(crate) fn call(&self, context: &RequestContext) -> CallContext {
        CallContext {
            traceparent: Some(context.trace().to_string()),
            budget: self.0.options.operation_budget,
        }
    }

    /// Extracts the edge itself, for the handler.
    pub(crate) fn itself(&self) -> impl Filter<Extract = (Self,), Error = Infallible> + Clone + use<> {
        let edge = self.clone();
        warp::any().map(move || edge.clone())
    }

    /// Extracts who is asking; rejects those who are not signed in.
    pub(crate) fn caller(&self) -> impl Filter<Extract = (Caller,), Error = Rejection> + Clone + use<> {
        warp::header::header::<Bearer>("authorization")
            .and(self.itself())
            .and(context())
            .and_then(async |bearer: Bearer, edge: Self, context: RequestContext| {
                edge.authenticate(&bearer, &context).await.map_err(reject::custom)
            })
    }

    /// Extracts who is asking, if they say so.
    pub(crate) fn viewer(
        &self,
    ) -> impl Filter<Extract = (Option<Caller>,), Error = Rejection> + Clone + use<> {
        warp::header::optional::<Bearer>("authorization")
            .and(self.itself())
            .and(context())
            .and_then(
                async |bearer: Option<Bearer>, edge: Self, context: RequestContext| match bearer {
                    Some(bearer) => {
                        let caller = edge.authenticate(&bearer, &context).await;
                        caller.map(Some).map_err(reject::custom)
                    }
                    None => Ok(None),
                },
            )
    }

    /// Extracts who is asking; rejects those whose role may not sell.
    pub(crate) fn seller(&self) -> impl Filter<Extract = (Caller,), Error = Rejection> + Clone + use<> {
        self.caller()
            .and_then(|caller: Caller| std::future::ready(allow(caller, Caller::require_seller)))
    }

    /// Extracts who is asking; rejects those who do not run the shop.
    pub(crate) fn admin(&self) -> impl Filter<Extract = (Caller,), Error = Rejection> + Clone + use<> {
        self.caller()
            .and_then(|caller: Caller| std::future::ready(allow(caller, Caller::require_admin)))
    }

    /// Extracts who is asking, and how long their token is good for.
    pub(crate) fn listener(
        &self,
    ) -> impl Filter<Extract = ((Caller, Duration),), Error = Rejection> + Clone + use<> {
        warp::header::header::<Bearer>("authorization")
            .and(self.itself())
            .and(context())
            .and_then(async |bearer: Bearer, edge: Self, context: RequestContext| {
                let listener = edge.authenticate_for(&bearer, &context).await;
                listener.map_err(reject::custom)
            })
    }

    async fn authenticate(&self, bearer: &Bearer, context: &RequestContext) -> Result<Caller, Problem> {
        Ok(self.authenticate_for(bearer, context).await?.0)
    }

    async fn authenticate_for(
        &self,
        bearer: &Bearer,
        context: &RequestContext,
    ) -> Result<(Caller, Duration), Problem> {
        let (caller, left) = self
            .0
            .tokens
            .verify_for(&bearer.0)
            .await
            .map_err(|_| Problem::invalid_token())?;
        let subject = Subject::caller(caller.user_id);
        context.limits().admit(&self.0.shop, subject).await?;
        Ok((self.0.shop.access(&caller).await?, left))
    }

    /// Extracts a JSON body.
    pub(crate) fn json<B>(&self) -> impl Filter<Extract = (B,), Error = Rejection> + Clone + use<B>
    where
        B: DeserializeOwned + Send + 'static,
    {
        self.body(Body::Json)
            .and_then(|bytes: Bytes| std::future::ready(parse(&bytes).map_err(reject::custom)))
    }

    /// Extracts a JSON body as it was sent.
    pub(crate) fn raw_json(&self) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone + use<> {
        self.body(Body::Json)
    }

    /// Extracts a request for a change with a JSON body, which the client may name.
    pub(crate) fn submission<B>(
        &self,
    ) -> impl Filter<Extract = (Submission<B>,), Error = Rejection> + Clone + use<B>
    where
        B: DeserializeOwned + Serialize + Send + 'static,
    {
        self.submitted(optional_key(), self.body(Body::Json), |bytes| parse(bytes))
    }

    /// Extracts a request for a change with a JSON body, which the client must name.
    pub(crate) fn named_submission<B>(
        &self,
    ) -> impl Filter<Extract = (Submission<B>,), Error = Rejection> + Clone + use<B>
    where
        B: DeserializeOwned + Serialize + Send + 'static,
    {
        self.submitted(required_key(), self.body(Body::Json), |bytes| parse(bytes))
    }

    /// Extracts a request for a change whose JSON body may be absent.
    pub(crate) fn optional_submission<B>(
        &self,
    ) -> impl Filter<Extract = (Submission<B>,), Error = Rejection> + Clone + use<B>
    where
        B: DeserializeOwned + Serialize + Default + Send + 'static,
    {
        self.submitted(optional_key(), self.body(Body::Json), |bytes| {
            parse_or_default(bytes)
        })
    }

    /// Extracts an edit as a JSON merge patch.
    pub(crate) fn patch<B>(
        &self,
    ) -> impl Filter<Extract = (Submission<B>,), Error = Rejection> + Clone + use<B>
    where
        B: DeserializeOwned + Serialize + Send + 'static,
    {
        self.submitted(optional_key(), self.body(Body::MergePatch), |bytes| parse(bytes))
    }

    /// Extracts a request for a change that has no body; one that is sent is not read.
    pub(crate) fn bare_submission(
        &self,
    ) -> impl Filter<Extract = (Submission<()>,), Error = Rejection> + Clone + use<> {
        let nothing = warp::any().and_then(async || Ok::<_, Rejection>(Bytes::new()));
        self.submitted(optional_key(), nothing, |_| Ok(()))
    }

    fn submitted<K, F, P, B>(
        &self,
        key: K,
        body: F,
        parse: P,
    ) -> impl Filter<Extract = (Submission<B>,), Error = Rejection> + Clone + use<K, F, P, B>
    where
        K: Filter<Extract = (Option<OperationKey>,), Error = Rejection> + Clone + Send + Sync + 'static,
        F: Filter<Extract = (Bytes,), Error = Rejection> + Clone + Send + Sync + 'static,
        P: Fn(&[u8]) -> Result<B, Problem> + Clone + Send + Sync + 'static,
        B: Serialize + Send + 'static,
    {
        let budget = self.0.options.operation_budget;
        key.and(body).and(context()).and(warp::path::full()).and_then(
            move |key, body: Bytes, context, path: FullPath| {
                let submission =
                    parse(&body).and_then(|body| Submission::new(body, context, &path, key, budget));
                std::future::ready(submission.map_err(reject::custom))
            },
        )
    }

    fn body(&self, accepted: Body) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone + use<> {
        let options = &self.0.options;
        // What is left of the request's time is the cluster's.
        let patience = options.request_timeout.saturating_sub(options.operation_budget);
        bounded_body(
            accepted,
            options.body_limit,
            patience.max(Duration::from_millis(100)),
        )
    }
}

fn allow(caller: Caller, rule: impl Fn(&Caller) -> Result<(), Refusal>) -> Result<Caller, Rejection> {
    match rule(&caller) {
        Ok(()) => Ok(caller),
        Err(refusal) => Err(reject::custom(Problem::from(refusal))),
    }
}
