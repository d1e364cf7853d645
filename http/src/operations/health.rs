//! Probes: whether the process lives, and whether the node should get requests.

use holdfast_actors::client::Health;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    problem::Problem,
    reply::Reply,
    request::{Query, query},
    route::{Answer, Route, path_of},
};

/// A node that is well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// What was looked at, with `?verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ChecksBody, required = false)]
    checks: Option<ChecksBody>,
}

/// What readiness consists of.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are answers to separate questions"
)]
#[schema(as = HealthChecks)]
pub(crate) struct ChecksBody {
    /// Whether the database answers.
    database: bool,
    /// Whether the database's schema is this program's.
    migrations: bool,
    /// Whether the node is an active member, and every shard has an owner, of the services that some node carries.
    membership: bool,
    /// Whether the node takes on nothing more: it is about to stop, or was told to drain.
    draining: bool,
}

impl From<Health> for ChecksBody {
    fn from(health: Health) -> Self {
        Self {
            database: health.database,
            migrations: health.migrations,
            membership: health.membership,
            draining: health.draining,
        }
    }
}

/// `GET /livez`
pub(super) fn livez_route() -> Route {
    let (template, at) = path_of!("livez");
    Route::new(Method::GET, template, at.then(livez))
}

/// `GET /readyz`
pub(super) fn readyz_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("readyz");
    Route::new(
        Method::GET,
        template,
        at.and(query()).and(edge.itself()).then(readyz),
    )
}

/// Whether the process lives
///
/// Asks nothing of anybody else: a process that cannot answer this is to be restarted.
#[utoipa::path(
    get, path = "/livez", tag = "operations", operation_id = "livez",
    responses((status = 200, description = "The process lives.", body = HealthBody)),
)]
pub(crate) async fn livez() -> Answer {
    Reply::ok(&HealthBody {
        status: "ok",
        checks: None,
    })
}

/// Whether the node should get requests
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "readyz",
    params(("verbose" = Option<String>, Query, description = "Tells what was looked at.", example = "")),
    responses(
        (status = 200, description = "The node serves.", body = HealthBody),
        (status = 503, description = "`unavailable`: the node does not serve, or is about to stop; `checks` tells why, \
            with `?verbose`."),
    ),
)]
pub(crate) async fn readyz(mut query: Query, edge: Edge) -> Answer {
    let is_verbose = query
        .take("verbose")
        .is_some_and(|value| value != "false" && value != "0");
    let health = edge.shop().health().await;
    let is_ready = health.is_ready();
    let checks = is_verbose.then(|| ChecksBody::from(health));
    if is_ready {
        return Reply::ok(&HealthBody { status: "ok", checks });
    }
    let problem = Problem::unavailable("this node should not get requests now");
    Err(match checks {
        Some(checks) => problem.member("checks", json!(checks)),
        None => problem,
    })
}
