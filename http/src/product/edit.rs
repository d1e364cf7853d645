//! Editing a product.

use holdfast_domain::{
    Caller, FieldError, JsonObject, ProductId, ProductStatus, Sku,
    product::{AttributesPatch, ProductPatch},
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
    request::{Checks, Patch, Submission, if_match},
    route::{Answer, Route, path_of},
};

/// An edit of a product.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
#[schema(as = ProductPatch)]
pub(crate) struct ProductPatchRequest {
    /// A new SKU.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64, example = "MUG-2")]
    sku: Patch<String>,
    /// A new name.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "Big mug")]
    name: Patch<String>,
    /// A new description; null empties it.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>, max_length = 20_000)]
    description: Patch<String>,
    /// A new price, amount and currency both.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = MoneyBody, required = false)]
    price: Patch<MoneyBody>,
    /// `draft` or `active`; DELETE archives.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = schema::OpenProductStatusName, required = false)]
    status: Patch<String>,
    /// Merged with the attributes that stand: members that are null are removed; null removes all.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<Object>, example = json!({"colour": null, "size": "L"}))]
    attributes: Patch<JsonObject>,
    /// A new threshold; null removes it.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    low_stock_threshold: Patch<u32>,
}

impl ProductPatchRequest {
    /// Parses what can be judged without the product; the owner checks what the edit makes of it.
    fn parse(self) -> Result<ProductPatch, Problem> {
        let mut checks = Checks::default();
        let sku = value(self.sku, "/sku", |sku| Sku::parse(&sku));
        let price = value(self.price, "/price", |price| price.parse("/price"));
        let status = value(self.status, "/status", |status| parse_status(&status));
        let (sku, price, status) = (checks.take(sku), checks.take(price), checks.take(status));
        let name = checks.take(self.name.into_value("/name"));
        let parsed = sku.zip(price).zip(status).zip(name);
        let (((sku, price), status), name) = checks.finish(parsed)?;
        Ok(ProductPatch {
            sku,
            name,
            description: self.description.into_option().map(Option::unwrap_or_default),
            price,
            status,
            attributes: self
                .attributes
                .into_option()
                .map(|attributes| attributes.map_or(AttributesPatch::Clear, AttributesPatch::Merge)),
            low_stock_threshold: self.low_stock_threshold.into_option(),
        })
    }
}

fn value<T, U>(
    patch: Patch<T>,
    field: &str,
    parse: impl FnOnce(T) -> Result<U, FieldError>,
) -> Result<Option<U>, FieldError> {
    patch.into_value(field)?.map(parse).transpose()
}

fn parse_status(text: &str) -> Result<ProductStatus, FieldError> {
    match text {
        "draft" => Ok(ProductStatus::Draft),
        "active" => Ok(ProductStatus::Active),
        "archived" => Err(FieldError::new(
            "/status",
            "is reached with DELETE, which archives",
        )),
        _ => Err(FieldError::new("/status", "must be draft or active")),
    }
}

/// `PATCH /v1/products/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId);
    Route::new(
        Method::PATCH,
        template,
        at.and(edge.seller())
            .and(if_match())
            .and(edge.patch())
            .and(edge.itself())
            .then(edit),
    )
}

/// Edits a product
#[utoipa::path(
    patch, path = "/v1/products/{id}", tag = "products", operation_id = "editProduct",
    security(("bearer" = ["seller", "admin"])),
    params(("id" = Uuid, Path, description = "The product's id."), ("If-Match" = String, Header)),
    request_body(content(
        (ProductPatchRequest = "application/merge-patch+json"), (ProductPatchRequest = "application/json"),
    )),
    responses(
        (status = 200, description = "The product as it is now.", body = ProductBody, headers(("ETag" = String))),
        (status = 409, description = "`sku-taken`."),
    ),
)]
pub(crate) async fn edit(
    id: ProductId,
    caller: Caller,
    expected_version: i64,
    submission: Submission<ProductPatchRequest>,
    edge: Edge,
) -> Answer {
    let (mutation, patch) = submission.into_parts(caller.user_id.0);
    let done = edge
        .shop()
        .product_edit(&mutation, &caller, id, patch.parse()?, expected_version)
        .await?;
    let version = done.value.version;
    Ok(Reply::ok(&ProductBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;

    fn parsed(json: &str) -> Result<ProductPatch, Problem> {
        crate::request::parse::<ProductPatchRequest>(json.as_bytes())?.parse()
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let patch =
            parsed(r#"{"name":"Cup","description":null,"low_stock_threshold":null}"#).expect("a patch");
        let expected = ProductPatch {
            name: Some("Cup".into()),
            description: Some(String::new()),
            low_stock_threshold: Some(None),
            ..ProductPatch::default()
        };
        assert_eq!(patch, expected);
        assert_eq!(parsed("{}").expect("a patch"), ProductPatch::default());
    }

    #[test]
    fn attributes_are_merged_or_cleared() {
        let merged = parsed(r#"{"attributes":{"size":null}}"#)
            .expect("a patch")
            .attributes;
        assert!(
            matches!(merged, Some(AttributesPatch::Merge(members)) if members.as_str() == r#"{"size":null}"#)
        );
        assert_eq!(
            parsed(r#"{"attributes":null}"#).expect("a patch").attributes,
            Some(AttributesPatch::Clear)
        );
    }

    #[test]
    fn what_every_product_has_cannot_be_removed() {
        let problem =
            parsed(r#"{"name":null,"sku":null,"price":null,"status":"archived"}"#).expect_err("a refusal");
        assert_eq!(problem.kind(), ProblemKind::Validation);
        let fields: Vec<_> = problem.field_errors().map(|error| error.0).collect();
        assert_eq!(fields, ["/sku", "/price", "/status", "/name"]);
    }
}
