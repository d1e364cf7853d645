//! Starting and stopping an edge.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use holdfast_domain::account::ACCESS_TOKEN_TTL_MAX;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    account,
    admission::Admission,
    edge, events,
    metrics::{self, HttpMetrics},
    operations,
    options::EdgeOptions,
    order, payment, product,
    route::{Route, RouteTable},
    server::Server,
    service::EdgeService,
    shop::Shop,
    token::{AccessTokens, KeyError, KeySource},
};

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// There is no key to sign access tokens with.
    #[error("the edge has no signing keys")]
    Keys(#[from] KeyError),
    /// Access tokens would outlive the cluster's memory of sessions that have ended.
    #[error("access tokens must be good for 1 to {} s", ACCESS_TOKEN_TTL_MAX.as_secs())]
    TokenTtl,
    /// An edge was started for this node before.
    #[error("the edge's metrics are registered already")]
    Metrics(#[from] prometheus::Error),
    /// A listener is not bound.
    #[error("a listener has no address")]
    Listener(#[from] io::Error),
}

/// A node's HTTP edge.
#[derive(Debug)]
pub struct Edge;

#[cfg(not(test))]
impl Edge {
    /// Starts to serve the shop: the API on `api`, if this node has that role, and operations on `ops`.
    pub async fn start(
        options: EdgeOptions,
        client: holdfast_actors::Client,
        api: impl Into<Option<TcpListener>>,
        ops: TcpListener,
    ) -> Result<EdgeHandle, EdgeError> {
        start(options, client, api.into(), ops).await
    }
}

async fn start(
    options: EdgeOptions,
    shop: Shop,
    api: Option<TcpListener>,
    ops: TcpListener,
) -> Result<EdgeHandle, EdgeError> {
    if options.access_token_ttl.as_secs() == 0 || options.access_token_ttl > ACCESS_TOKEN_TTL_MAX {
        return Err(EdgeError::TokenTtl);
    }
    let source = match &options.signing_key_dir {
        Some(path) => KeySource::Directory(path.clone()),
        None => KeySource::Shared(shop.clone()),
    };
    let clock = {
        let shop = shop.clone();
        Box::new(move || u64::try_from(shop.clock().unix_micros() / 1_000_000).unwrap_or(0))
    };
    let tokens = AccessTokens::load(source, clock, &options).await?;
    let registry = shop.metrics();
    let metrics = HttpMetrics::new(&registry)?;
    metrics::watch_tokens(&registry, tokens.verified().clone())?;
    let edge = edge::Edge::new(shop, tokens, options.clone());
    let ops_addr = ops.local_addr()?;
    let (api, api_addr) = match api {
        Some(listener) => {
            let address = listener.local_addr()?;
            let admission = Arc::new(Admission::new(&options));
            admission.watch(&registry)?;
            let service = EdgeService::new(RouteTable::new(api_routes(&edge)), &options)
                .admitted_by(admission)
                .telling_callers_by(edge.clone())
                .measured(metrics.of("api"))
                .limited_by(edge.shop());
            (Some(Server::start(listener, service, &options)), Some(address))
        }
        None => (None, None),
    };
    let service = EdgeService::new(RouteTable::new(operations::ops_routes(&edge)), &options)
        .measured(metrics.of("ops"));
    let ops = Server::start(ops, service, &options);
    let closing = edge.closing().clone();
    let refreshing = tokio::spawn(async move { edge.tokens().keep_fresh().await });
    Ok(EdgeHandle {
        _refreshing: AbortOnDropHandle::new(refreshing),
        closing,
        api,
        ops,
        api_addr,
        ops_addr,
    })
}

/// Lists the routes of the API's listener.
pub(crate) fn api_routes(edge: &edge::Edge) -> Vec<Route> {
    let mut routes = order::routes(edge);
    routes.extend(product::routes(edge));
    routes.extend(account::routes(edge));
    routes.extend(payment::routes(edge));
    routes.push(events::route(edge));
    routes.extend(operations::api_routes(edge));
    routes
}

/// A running edge. Dropping it cuts everything off at once.
#[derive(Debug)]
pub struct EdgeHandle {
    /// Keeps the keys fresh; ends with the edge.
    _refreshing: AbortOnDropHandle<()>,
    closing: CancellationToken,
    api: Option<Server>,
    ops: Server,
    api_addr: Option<SocketAddr>,
    ops_addr: SocketAddr,
}

impl EdgeHandle {
    /// Returns where the API is served, if it is.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// Returns where operations are served.
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops_addr
    }

    /// Ends streams, stops accepting, lets requests in progress finish within `grace`, then cuts them off.
    ///
    /// Operations are served until the API has ended, so that probes can watch it end.
    pub async fn shutdown(self, grace: Duration) {
        let began_at = tokio::time::Instant::now();
        self.closing.cancel();
        if let Some(api) = self.api {
            api.shutdown(grace).await;
        }
        self.ops.shutdown(grace.saturating_sub(began_at.elapsed())).await;
    }
}

#[cfg(test)]
mod tests;
