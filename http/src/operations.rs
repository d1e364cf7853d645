//! Running the shop: probes, documentation, the pages of problems, and the cluster's state.

mod cluster;
mod docs;
mod health;
mod metrics;
mod problems;

pub(crate) use cluster::{__path_cluster, __path_drain};
pub(crate) use docs::{__path_docs, __path_docs_file, __path_openapi};
pub(crate) use health::{__path_livez, __path_readyz};
pub(crate) use metrics::__path_metrics;
pub(crate) use problems::__path_problem;

use crate::{edge::Edge, route::Route};

/// Lists the routes that the API's listener has besides the API.
pub(crate) fn api_routes(edge: &Edge) -> Vec<Route> {
    let mut routes = probes(edge);
    routes.extend([
        docs::openapi_route(),
        docs::route(),
        docs::file_route(),
        problems::route(),
    ]);
    routes
}

/// Lists the routes of the operations listener.
pub(crate) fn ops_routes(edge: &Edge) -> Vec<Route> {
    let mut routes = probes(edge);
    routes.extend([
        cluster::route(edge),
        cluster::drain_route(edge),
        metrics::route(edge),
        problems::route(),
    ]);
    routes
}

fn probes(edge: &Edge) -> Vec<Route> {
    vec![health::livez_route().vital(), health::readyz_route(edge).vital()]
}
