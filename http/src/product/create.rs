//! Making a product.

use holdfast_actors::command::NewProduct;
use holdfast_domain::{
    Caller, FieldError, JsonObject, Product, ProductId, ProductStatus, Sku, stock::ON_HAND_MAX,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::ProductBody;
use crate::{
    edge::Edge,
    money::MoneyBody,
    openapi::schema,
    problem::Problem,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
    shop::Shop,
};

/// A product to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct ProductRequest {
    /// The seller's own name for it, unique among what they sell: 1 to 64 printable ASCII characters
    /// without spaces.
    #[schema(min_length = 1, max_length = 64, example = "MUG-1")]
    sku: String,
    /// What customers read first.
    #[schema(min_length = 1, max_length = 200, example = "Mug")]
    name: String,
    /// What customers read next.
    #[serde(default)]
    #[schema(max_length = 20_000, example = "Holds 300 ml.")]
    description: Option<String>,
    /// What one unit costs; not negative.
    price: MoneyBody,
    /// `draft`, or `active` to be for sale at once.
    #[serde(default)]
    #[schema(value_type = schema::OpenProductStatusName, required = false)]
    status: Option<String>,
    /// The seller's own data, at most 16 KiB and 32 levels.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"colour": "blue"}))]
    attributes: Option<JsonObject>,
    /// The units it starts with.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000, example = 100)]
    stock: Option<u32>,
    /// At or below this many available units, `stock.low` is told.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000, example = 5)]
    low_stock_threshold: Option<u32>,
}

impl ProductRequest {
    fn parse(self, shop: &Shop, caller: &Caller) -> Result<NewProduct, Problem> {
        let mut checks = Checks::default();
        let sku = checks.take(Sku::parse(&self.sku));
        let price = checks.take(self.price.parse("/price"));
        let status = checks.take(parse_status(self.status.as_deref()));
        let stock = self.stock.unwrap_or(0);
        checks.require(stock <= ON_HAND_MAX, "/stock", "is more than a product can have");
        let new = sku
            .zip(price)
            .zip(status)
            .map(|((sku, price), status)| NewProduct {
                id: ProductId::mint(shop.now(), shop.entropy()),
                sku,
                name: self.name,
                description: self.description.unwrap_or_default(),
                price,
                status,
                attributes: self.attributes.unwrap_or_default(),
                stock,
                low_stock_threshold: self.low_stock_threshold,
            });
        if let Some(new) = &new {
            checks.take_all(as_product(new, shop, caller).check())?;
        }
        checks.finish(new)
    }
}

/// Makes the product that would be, whose rules are the domain's to check.
fn as_product(new: &NewProduct, shop: &Shop, caller: &Caller) -> Product {
    let at = shop.now();
    Product {
        id: new.id,
        sku: new.sku.clone(),
        name: new.name.clone(),
        description: new.description.clone(),
        price: new.price,
        status: new.status,
        attributes: new.attributes.clone(),
        seller_id: caller.user_id,
        low_stock_threshold: new.low_stock_threshold,
        created_at: at,
        updated_at: at,
        version: 1,
    }
}

fn parse_status(text: Option<&str>) -> Result<ProductStatus, FieldError> {
    match text {
        None | Some("draft") => Ok(ProductStatus::Draft),
        Some("active") => Ok(ProductStatus::Active),
        Some(_) => Err(FieldError::new("/status", "must be draft or active")),
    }
}

/// `POST /v1/products`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products");
    Route::new(
        Method::POST,
        template,
        at.and(edge.seller())
            .and(edge.submission())
            .and(edge.itself())
            .then(create),
    )
}

/// Makes a product
///
/// Without a `status` it is a draft.
#[utoipa::path(
    post, path = "/v1/products", tag = "products", operation_id = "createProduct",
    security(("bearer" = ["seller", "admin"])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ProductRequest,
    responses(
        (status = 201, description = "The product was made.", body = ProductBody,
            headers(("Location" = String, description = "The product."), ("ETag" = String))),
        (status = 409, description = "`sku-taken`: the seller has another product with this SKU; or `request-in-progress`."),
    ),
)]
pub(crate) async fn create(caller: Caller, submission: Submission<ProductRequest>, edge: Edge) -> Answer {
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let new = body.parse(edge.shop(), &caller)?;
    let done = edge.shop().product_create(&mutation, &caller, new).await?;
    let (id, version) = (done.value.id, done.value.version);
    let reply = Reply::created(&format!("/v1/products/{id}"), &ProductBody::from(done.value))?;
    Ok(reply.etag(version).replayed(done.replayed))
}
