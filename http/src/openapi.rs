//! The OpenAPI document: generated from the handlers' own annotations, then completed.
//!
//! A handler says what is particular to its call; what all calls of a kind have in common - statuses,
//! headers, parameters - is added by [`complete`] from the shape of each operation, so that no call
//! can forget it.

use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

mod complete;
pub(crate) mod schema;

use crate::{account, events, operations, order, payment, product};

#[derive(OpenApi)]
#[openapi(
    info(title = "Holdfast", description = include_str!("openapi/introduction.md")),
    tags(
        (name = "accounts", description = "Accounts, sessions and the tokens of both."),
        (name = "products", description = "The catalogue."),
        (name = "stock", description = "How many units there are, how many are promised, and the ledger that explains both."),
        (name = "orders", description = "From placing to shipping."),
        (name = "events", description = "What happens in the shop, while it happens."),
        (name = "operations", description = "Running the shop. `/v1/cluster`, what is below it, and `/metrics` are on the operations listener only."),
    ),
    paths(
        account::register, account::login, account::refresh, account::logout, account::logout_all, account::me,
        account::edit_me, account::change_password, account::sessions, account::end_session, account::users,
        account::user, account::edit_user, account::jwks,
        product::create, product::get, product::list, product::edit, product::archive, product::stock,
        product::adjust, product::set_stock, product::movements,
        order::place, order::get, order::list, order::edit, order::events, order::pay, order::cancel, order::fulfil,
        payment::report,
        events::events,
        operations::livez, operations::readyz, operations::openapi, operations::docs, operations::docs_file,
        operations::problem, operations::cluster, operations::drain, operations::metrics,
    ),
    components(schemas(
        schema::Problem, schema::CloudEvent, schema::ProductSortName, schema::ProductStatusName, schema::OrderRoleName, schema::OrderStatusName,
    )),
    modifiers(&BearerScheme),
)]
struct Document;

struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        http.description = Some("The access token of a session, from `POST /v1/auth/login`.".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(http));
    }
}

/// Makes the whole document.
///
/// # Errors
/// The document cannot be written as JSON.
pub(crate) fn document() -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(Document::openapi())?;
    complete::complete(&mut document);
    Ok(document)
}

#[cfg(test)]
mod tests;
