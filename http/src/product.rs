//! Products and their stock.
//!
//! One file per call or small noun; each has its routes (wiring only), its handlers and its bodies.

mod archive;
mod body;
mod create;
mod edit;
mod get;
mod list;
mod movements;
mod stock;

pub(crate) use archive::__path_archive;
use body::ProductBody;
pub(crate) use create::__path_create;
pub(crate) use edit::__path_edit;
pub(crate) use get::__path_get;
pub(crate) use list::__path_list;
pub(crate) use movements::__path_movements;
pub(crate) use stock::{__path_adjust, __path_set_stock, __path_stock};

use crate::{edge::Edge, route::Route};

/// Lists the routes of products and stock.
pub(crate) fn routes(edge: &Edge) -> Vec<Route> {
    vec![
        create::route(edge),
        get::route(edge),
        list::route(edge),
        edit::route(edge),
        archive::route(edge),
        stock::route(edge),
        stock::adjust_route(edge),
        stock::set_route(edge),
        movements::route(edge),
    ]
}

#[cfg(test)]
mod tests;
