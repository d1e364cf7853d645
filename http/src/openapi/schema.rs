//! Schemas that the domain's own lists of names make.

use std::borrow::Cow;

use holdfast_actors::client::ProductSort;
use holdfast_domain::{
    EventKind, MovementKind, OrderStatus, PaymentProvider, ProductStatus, Role, event::Aggregate,
    payment::PaymentStatus,
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, ObjectBuilder, Schema, Type},
    },
};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $public:literal: $values:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some($values)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($public)
            }
        }
    )*};
}

names! {
    /// The names of roles.
    RoleName = "Role": [Role::Customer, Role::Seller, Role::Admin].map(Role::as_str);
    /// The names of what a product can be.
    ProductStatusName = "ProductStatus":
        [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived].map(ProductStatus::as_str);
    /// The names of what a product can be made or edited to be.
    OpenProductStatusName = "OpenProductStatus":
        [ProductStatus::Draft, ProductStatus::Active].map(ProductStatus::as_str);
    /// The names of the orders of a list of products.
    ProductSortName = "ProductSort": [
        ProductSort::Newest, ProductSort::Oldest, ProductSort::Cheapest, ProductSort::Dearest, ProductSort::Name,
    ].map(ProductSort::as_str);
    /// The names of kinds of movements of stock.
    MovementKindName = "MovementKind": [
        MovementKind::Initial, MovementKind::Adjustment, MovementKind::Reserve, MovementKind::Release, MovementKind::Ship,
    ].map(MovementKind::as_str);
    /// The names of where an order can stand.
    OrderStatusName = "OrderStatus": OrderStatus::ALL.map(OrderStatus::as_str);
    /// The names of whose orders can be listed.
    OrderRoleName = "OrderRole": ["customer", "seller", "admin"];
    /// The names of what can happen to an order.
    OrderEventTypeName = "OrderEventType": EventKind::ALL.iter()
        .filter(|kind| kind.aggregate() == Aggregate::Order).map(|kind| kind.as_str()).collect::<Vec<_>>();
    /// The names of how far a payment can have come.
    PaymentStatusName = "PaymentStatus": [
        PaymentStatus::Authorised, PaymentStatus::Captured, PaymentStatus::Voided, PaymentStatus::Refunded,
    ].map(PaymentStatus::as_str);
    /// The names of what a provider can report of a payment.
    PaymentReportName = "PaymentReportType": ["payment.captured", "payment.declined"];
    /// The names of payment providers.
    PaymentProviderName = "PaymentProvider":
        [PaymentProvider::Manual, PaymentProvider::Test].map(PaymentProvider::as_str);
}

/// An event, as it leaves the shop.
pub(crate) enum CloudEvent {}

impl PartialSchema for CloudEvent {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(description))
        };
        let types = EventKind::ALL
            .iter()
            .map(|kind| kind.cloud_type())
            .collect::<Vec<_>>();
        ObjectBuilder::new()
            .description(Some("An event as CloudEvents 1.0 has it, in JSON."))
            .property("specversion", text("`1.0`."))
            .property("id", text("The event's id, by which a repeat is known."))
            .property(
                "source",
                text("The path under which what it happened to is found."),
            )
            .property("type", text("What happened.").enum_values(Some(types)))
            .property("subject", text("The id of what it happened to."))
            .property("time", text("When, as RFC 3339 has it."))
            .property(
                "sequence",
                text("The version of the subject that it made, in 19 digits."),
            )
            .property("datacontenttype", text("`application/json`."))
            .property(
                "traceparent",
                text("The W3C trace that caused it, if it is known."),
            )
            .property("actorid", text("Who did it; absent: the shop itself."))
            .property(
                "data",
                ObjectBuilder::new()
                    .schema_type(Type::Object)
                    .description(Some("The rest, by type.")),
            )
            .required("specversion")
            .required("id")
            .required("source")
            .required("type")
            .required("subject")
            .required("time")
            .required("sequence")
            .required("datacontenttype")
            .required("data")
            .into()
    }
}

impl ToSchema for CloudEvent {}

/// Problem details.
pub(crate) enum Problem {}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(description))
        };
        let error = ObjectBuilder::new()
            .property(
                "field",
                text("A JSON pointer into the body, or a parameter's name."),
            )
            .property("message", text("What is wrong with it."))
            .required("field")
            .required("message");
        ObjectBuilder::new()
            .description(Some(
                "Problem details (RFC 9457). Kinds of problem add members of their own.",
            ))
            .property("type", text("A path that explains this kind of problem."))
            .property("title", text("What the kind of problem is called."))
            .property(
                "status",
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .description(Some("The status, again.")),
            )
            .property("detail", text("What happened here, for a person."))
            .property("request_id", text("The response's `X-Request-Id`."))
            .property(
                "errors",
                ArrayBuilder::new()
                    .items(error)
                    .description(Some("The fields that broke rules, for `validation`.")),
            )
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .required("request_id")
            .examples([json!({
                "type": "/problems/validation",
                "title": "The request is not acceptable",
                "status": 422,
                "detail": "/lines/0/quantity must be a whole number",
                "request_id": "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d",
                "errors": [{"field": "/lines/0/quantity", "message": "must be a whole number"}],
            })])
            .into()
    }
}

impl ToSchema for Problem {}
