//! The cluster's state, for those who run it.

use std::{convert::Infallible, str::FromStr};

use holdfast_actors::client::{ClusterView, NodeView, ShardView};
use holdfast_domain::{Caller, NodeId};
use serde::Serialize;
use utoipa::ToSchema;
use warp::{
    Filter,
    http::{Method, StatusCode},
};

use crate::{
    edge::Edge,
    reply::Reply,
    route::{Answer, Route, path_of},
};

/// The cluster, as the answering node sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(crate) struct ClusterBody {
    /// Counts changes of nodes' states and shards' owners.
    #[schema(example = 12)]
    map_version: i64,
    /// The node that answers.
    #[schema(value_type = Uuid)]
    node_id: NodeId,
    /// All nodes that have not left or been declared dead.
    nodes: Vec<NodeBody>,
    /// All shards.
    shards: Vec<ShardBody>,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(crate) struct NodeBody {
    /// The run of the node's process.
    #[schema(value_type = Uuid)]
    id: NodeId,
    /// Its name.
    #[schema(example = "n1")]
    name: String,
    /// Where it stands in its life.
    #[schema(example = "active")]
    state: &'static str,
    /// What it carries.
    #[schema(example = json!(["edge", "orders"]))]
    roles: Vec<String>,
    /// Where it answers HTTP.
    #[schema(example = "127.0.0.1:8080")]
    api_address: String,
    /// Where it answers other nodes.
    #[schema(example = "127.0.0.1:10080")]
    link_address: String,
    /// How long ago its heartbeat was seen to move, in milliseconds.
    #[schema(example = 120)]
    heartbeat_age_ms: u64,
    /// Whether the answering node has a session with it; true for itself.
    connected: bool,
}

/// A shard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shard)]
pub(crate) struct ShardBody {
    /// What it holds a part of.
    #[schema(example = "orders")]
    service: &'static str,
    /// Which part.
    #[schema(example = 17)]
    shard: u8,
    /// The node that owns it, if one does.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<NodeId>,
    /// How often it has changed hands.
    #[schema(example = 1)]
    epoch: i64,
}

impl From<ClusterView> for ClusterBody {
    fn from(view: ClusterView) -> Self {
        Self {
            map_version: view.map_version,
            node_id: view.node_id,
            nodes: view.nodes.into_iter().map(NodeBody::from).collect(),
            shards: view.shards.into_iter().map(ShardBody::from).collect(),
        }
    }
}

impl From<NodeView> for NodeBody {
    fn from(node: NodeView) -> Self {
        Self {
            id: node.node_id,
            name: node.name,
            state: node.state.as_str(),
            roles: node.roles,
            api_address: node.api_addr,
            link_address: node.link_addr,
            heartbeat_age_ms: node.heartbeat_age_ms,
            connected: node.connected,
        }
    }
}

impl From<ShardView> for ShardBody {
    fn from(shard: ShardView) -> Self {
        Self {
            service: shard.service.as_str(),
            shard: shard.shard.0,
            owner: shard.owner,
            epoch: shard.epoch,
        }
    }
}

/// `GET /v1/cluster`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "cluster");
    Route::new(
        Method::GET,
        template,
        at.and(edge.admin()).and(edge.itself()).then(cluster),
    )
}

/// The cluster
///
/// Nodes with state, heartbeat age and address; shards with owner and epoch. On the operations
/// listener only.
#[utoipa::path(
    get, path = "/v1/cluster", tag = "operations", operation_id = "getCluster", security(("bearer" = ["admin"])),
    responses((status = 200, description = "The cluster, as this node sees it.", body = ClusterBody)),
)]
pub(crate) async fn cluster(caller: Caller, edge: Edge) -> Answer {
    let view = edge.shop().cluster(&caller)?;
    Ok(Reply::ok(&ClusterBody::from(view))?.stale_by(0))
}

/// A node's name, which may be nobody's.
pub(crate) struct NodeName(String);

impl FromStr for NodeName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self(name.to_owned()))
    }
}

/// `POST /v1/cluster/nodes/{name}/drain`
pub(super) fn drain_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "cluster" / "nodes" / NodeName / "drain");
    let drain = at.and(edge.admin()).and(edge.itself()).then(drain);
    Route::new(Method::POST, template, drain)
}

/// Drains a node
///
/// The node, the answering one or another, takes on nothing more and hands its shards to the others. It stays up and
/// passes requests on, is not ready any more, and owns nothing until its process is started anew. Asking again changes
/// nothing. On the operations listener only.
#[utoipa::path(
    post, path = "/v1/cluster/nodes/{name}/drain", tag = "operations", operation_id = "drainNode",
    security(("bearer" = ["admin"])),
    params(("name" = String, Path, description = "The node's name.", example = "n1")),
    responses(
        (status = 202, description = "The node drains. How far it is `GET /v1/cluster` tells.", body = NodeBody),
        (status = 404, description = "`not-found`: no node of this name has joined."),
    ),
)]
pub(crate) async fn drain(NodeName(name): NodeName, caller: Caller, edge: Edge) -> Answer {
    let node = edge.shop().node_drain(&caller, &name).await?;
    Reply::json(StatusCode::ACCEPTED, &NodeBody::from(node))
}
