//! What the edge knows about a request before its route is entered.

use std::{net::IpAddr, sync::Arc};

use holdfast_actors::trace::TraceParent;
use warp::{Filter, Rejection};

use crate::limit::Decisions;

/// Where a request comes from and goes to, shared by all that serves it.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trace: TraceParent,
    client: IpAddr,
    route: Arc<str>,
    limits: Decisions,
}

impl RequestContext {
    /// Joins what is known about a request that `route` will serve.
    pub(crate) fn new(trace: TraceParent, client: IpAddr, route: Arc<str>, limits: Decisions) -> Self {
        Self(Arc::new(Inner {
            trace,
            client,
            route,
            limits,
        }))
    }

    /// Returns the trace that the request belongs to, for those who go on with it.
    pub(crate) fn trace(&self) -> TraceParent {
        self.0.trace
    }

    /// Returns the client's address.
    pub(crate) fn client(&self) -> IpAddr {
        self.0.client
    }

    /// Returns what was decided about the request by rate limits.
    pub(crate) fn limits(&self) -> &Decisions {
        &self.0.limits
    }

    /// Returns the route as method and template, such as `POST /v1/orders/{id}/cancel`.
    pub(crate) fn route(&self) -> &str {
        &self.0.route
    }
}

/// Extracts the request's context.
pub(crate) fn context() -> impl Filter<Extract = (RequestContext,), Error = Rejection> + Copy {
    warp::ext::get::<RequestContext>()
}
