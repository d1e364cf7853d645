//! Orders: placing, paying, shipping and calling them off.
//!
//! One file per call or small noun; each has its routes (wiring only), its handlers and its bodies.

mod body;
mod cancel;
mod edit;
mod events;
mod fulfil;
mod get;
mod lines;
mod list;
mod pay;
mod place;

use body::OrderBody;
pub(crate) use cancel::__path_cancel;
pub(crate) use edit::__path_edit;
pub(crate) use events::__path_events;
pub(crate) use fulfil::__path_fulfil;
pub(crate) use get::__path_get;
use lines::{LineRequest, SentLines};
pub(crate) use list::__path_list;
pub(crate) use pay::__path_pay;
pub(crate) use place::__path_place;

use crate::{edge::Edge, route::Route};

/// Lists the routes of orders.
pub(crate) fn routes(edge: &Edge) -> Vec<Route> {
    vec![
        place::route(edge),
        get::route(edge),
        list::route(edge),
        edit::route(edge),
        events::route(edge),
        pay::route(edge),
        cancel::route(edge),
        fulfil::route(edge),
    ]
}

#[cfg(test)]
mod tests;
