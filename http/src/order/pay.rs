//! Paying an order.

use holdfast_actors::command::Payable;
use holdfast_domain::{
    Caller, FieldError, Money, OrderId, Payment, PaymentId, PaymentProvider, Timestamp,
    payment::PaymentStatus, text,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    money::MoneyBody,
    openapi::schema,
    payment::NAME_MAX_CHARS,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
};

/// The longest name of a method, in characters.
const METHOD_MAX_CHARS: usize = 100;

/// A payment to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct PaymentRequest {
    /// Who moves the money.
    #[schema(value_type = schema::PaymentProviderName)]
    provider: String,
    /// The provider's own name for how. `test` declines `decline`, authorises `authorize`, and captures
    /// everything else; `manual` authorises everything.
    #[schema(min_length = 1, max_length = 100, example = "card")]
    method: String,
    /// The provider's own name for the payment, from an administrator who has it from the provider. What the provider
    /// reports by this name is then the same payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200, example = "pay_0017")]
    reference: Option<String>,
}

/// A payment that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentBody {
    /// The payment's id.
    #[schema(value_type = Uuid)]
    id: PaymentId,
    /// The order that it pays.
    #[schema(value_type = Uuid)]
    order_id: OrderId,
    /// Who moves the money.
    #[schema(value_type = schema::PaymentProviderName)]
    provider: PaymentProvider,
    /// How far it has come.
    #[schema(value_type = schema::PaymentStatusName)]
    status: PaymentStatus,
    /// What was authorised: the order's total.
    amount: MoneyBody,
    /// What has moved to the shop.
    captured: MoneyBody,
    /// What has moved back.
    refunded: MoneyBody,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Payment> for PaymentBody {
    fn from(payment: Payment) -> Self {
        let currency = payment.amount.currency;
        Self {
            id: payment.id,
            order_id: payment.order_id,
            provider: payment.provider,
            status: payment.status,
            amount: payment.amount.into(),
            captured: Money::new(payment.captured, currency).into(),
            refunded: Money::new(payment.refunded, currency).into(),
            created_at: payment.created_at,
        }
    }
}

/// `POST /v1/orders/{id}/payments`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId / "payments");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(edge.named_submission())
            .and(edge.itself())
            .then(pay),
    )
}

/// Pays an order
///
/// Authorised or captured, the order is confirmed. Of a payment that was captured here its provider may send a report
/// as well: the first one of the same provider and amount is taken for it, and any other is another payment, which is
/// refunded. An administrator may take note of a payment for the customer by the provider's name for it, `reference`: then
/// only a report by that name is the same payment. An order whose authorised payment its provider has declined
/// afterwards may be paid once more.
#[utoipa::path(
    post, path = "/v1/orders/{id}/payments", tag = "orders", operation_id = "payOrder", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order's id."), ("Idempotency-Key" = String, Header)),
    request_body = PaymentRequest,
    responses(
        (status = 201, description = "The payment was accepted and the order is confirmed.", body = PaymentBody,
            headers(("Location" = String, description = "The order."))),
        (status = 402, description = "`payment-declined`: the provider declined, `reason` says why."),
        (status = 403, description = "`forbidden`: only its customer may, or an administrator with a `reference`."),
        (status = 409, description = "`invalid-transition`: the order does not wait for a payment; or `request-in-progress`."),
    ),
)]
pub(crate) async fn pay(
    id: OrderId,
    caller: Caller,
    submission: Submission<PaymentRequest>,
    edge: Edge,
) -> Answer {
    let mut checks = Checks::default();
    let provider = checks.take(provider(&edge, &submission.body.provider));
    checks.take(text::check(
        "/method",
        &submission.body.method,
        1,
        METHOD_MAX_CHARS,
    ));
    if let Some(reference) = &submission.body.reference {
        checks.take(text::check("/reference", reference, 1, NAME_MAX_CHARS));
    }
    let provider = checks.finish(provider)?;

    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let payment_id = PaymentId::mint(edge.shop().now(), edge.shop().entropy());
    let payable = Payable {
        id: payment_id,
        provider,
        method: body.method,
    };
    let done = edge
        .shop()
        .order_pay(&mutation, &caller, id, payable, body.reference)
        .await?;
    let reply = Reply::created(&format!("/v1/orders/{id}"), &PaymentBody::from(done.value))?;
    Ok(reply.replayed(done.replayed))
}

/// Finds a provider among those that may be used here.
fn provider(edge: &Edge, name: &str) -> Result<PaymentProvider, FieldError> {
    let usable = &edge.options().payment_providers;
    let found = usable.iter().copied().find(|provider| provider.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = usable.iter().map(|provider| provider.as_str()).collect();
        FieldError::new("/provider", format!("must be one of {}", names.join(", ")))
    })
}
