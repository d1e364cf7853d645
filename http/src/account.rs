//! Accounts and sessions: registering, signing in and out, and what admins may change.
//!
//! One file per call or small noun; each has its routes (wiring only), its handlers and its bodies.

mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod register;
mod sessions;
mod tokens;
mod user;
mod users;

pub(crate) use login::__path_login;
pub(crate) use logout::{__path_logout, __path_logout_all};
pub(crate) use me::{__path_edit_me, __path_me};
pub(crate) use password::__path_change_password;
pub(crate) use refresh::__path_refresh;
pub(crate) use register::__path_register;
pub(crate) use sessions::{__path_end_session, __path_sessions};
pub(crate) use tokens::__path_jwks;
use user::UserBody;
pub(crate) use users::{__path_edit_user, __path_user, __path_users};

use crate::{edge::Edge, route::Route};

/// Lists the routes of accounts and sessions.
pub(crate) fn routes(edge: &Edge) -> Vec<Route> {
    vec![
        register::route(edge),
        login::route(edge),
        refresh::route(edge),
        logout::route(edge),
        logout::all_route(edge),
        me::route(edge),
        me::edit_route(edge),
        password::route(edge),
        sessions::route(edge),
        sessions::end_route(edge),
        users::list_route(edge),
        users::route(edge),
        users::edit_route(edge),
        tokens::jwks_route(edge),
    ]
}

#[cfg(test)]
mod tests;
