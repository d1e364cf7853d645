//! Listing orders.

use holdfast_actors::client::{OrderFilter, OrderScope};
use holdfast_domain::{Caller, OrderId, OrderStatus, UserId};
use warp::{Filter, http::Method};

use super::OrderBody;
use crate::{
    edge::Edge,
    list::List,
    openapi::schema,
    problem::Problem,
    request::{ListRequest, Query, query},
    route::{Answer, Route, path_of},
};

/// `GET /v1/orders`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders");
    Route::new(
        Method::GET,
        template,
        at.and(edge.caller()).and(query()).and(edge.itself()).then(list),
    )
}

/// Orders
///
/// One's own, newest first; `as=seller` lists those with lines of one's own.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "listOrders", security(("bearer" = [])),
    params(
        ("status" = Option<schema::OrderStatusName>, Query, description = "Only orders of this status."),
        ("as" = Option<schema::OrderRoleName>, Query, description = "`customer` (the default): one's own; `seller`: those \
            with lines of one's own; `admin`: everybody's."),
        ("user_id" = Option<Uuid>, Query, description = "For admins: those of this customer."),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses(
        (status = 200, description = "A page of orders.", body = List<OrderBody>),
        (status = 403, description = "`forbidden`: the filter is not for the caller's role."),
    ),
)]
pub(crate) async fn list(caller: Caller, mut query: Query, edge: Edge) -> Answer {
    let list = ListRequest::<OrderId>::take(&mut query)?;
    let status = query.parse::<OrderStatus>("status");
    let scope = scope(&caller, &mut query)?;
    query.finish()?;
    let page = edge
        .shop()
        .orders(&caller, OrderFilter { scope, status }, &list.page())
        .await?;
    List::<OrderBody>::page(&list, page)
}

/// Takes whose orders are asked for, if the caller may ask for them.
fn scope(caller: &Caller, query: &mut Query) -> Result<OrderScope, Problem> {
    let user_id = query.parse::<UserId>("user_id");
    let role = query.take("as");
    match (role.as_deref(), user_id) {
        (Some("seller"), None) => {
            caller.require_seller()?;
            Ok(OrderScope::Seller(caller.user_id))
        }
        (Some("admin"), None) => {
            caller.require_admin()?;
            Ok(OrderScope::Everyone)
        }
        (None | Some("customer" | "admin"), Some(user_id)) => {
            if user_id != caller.user_id {
                caller.require_admin()?;
            }
            Ok(OrderScope::Customer(user_id))
        }
        (None | Some("customer"), None) => Ok(OrderScope::Customer(caller.user_id)),
        (Some("seller"), Some(_)) => {
            query.refuse("user_id", "cannot be combined with as=seller");
            Ok(OrderScope::Seller(caller.user_id))
        }
        (Some(_), _) => {
            query.refuse("as", "must be customer, seller or admin");
            Ok(OrderScope::Customer(caller.user_id))
        }
    }
}
