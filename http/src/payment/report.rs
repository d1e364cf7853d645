//! A provider's report of a payment.

use std::{convert::Infallible, str::FromStr};

use bytes::Bytes;
use holdfast_actors::budget::Subject;
use holdfast_domain::{
    FieldError, OperationKey, OrderId, PaymentId, PaymentProvider,
    order::{PaymentReport, Reported},
    text,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use warp::{
    Filter,
    http::{HeaderMap, Method},
    path::FullPath,
};

use super::signature::BadSignature;
use crate::{
    digest::sha256,
    edge::Edge,
    money::MoneyBody,
    openapi::schema,
    problem::Problem,
    reply::Reply,
    request::{Checks, RequestContext, Submission, context, parse},
    route::{Answer, Route, path_of},
};

/// The longest names that a provider may give to a report and to a payment, in characters.
pub(crate) const NAME_MAX_CHARS: usize = 200;
/// The longest reason, in characters.
const REASON_MAX_CHARS: usize = 200;

/// What a provider reports of a payment.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct PaymentReportRequest {
    /// The provider's own name for the report, in printable ASCII: the same each time that it is sent.
    #[schema(min_length = 1, max_length = 200, example = "evt_0042")]
    id: String,
    /// What has become of the payment.
    #[schema(value_type = schema::PaymentReportName)]
    r#type: String,
    /// The order that was paid.
    #[schema(value_type = Uuid)]
    order_id: OrderId,
    /// The provider's own name for the payment.
    #[schema(min_length = 1, max_length = 200, example = "pay_0017")]
    payment_reference: String,
    /// What was paid, or was to be. What is not the order's total does not pay it, and is refunded.
    amount: MoneyBody,
    /// Why it was declined, fit for the customer; with `payment.declined` alone.
    #[serde(default)]
    #[schema(max_length = 200, example = "the card has expired")]
    reason: Option<String>,
}

/// A provider as a path names it.
pub(super) struct ProviderName(String);

impl FromStr for ProviderName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// What is signed: the body as it was sent, and the header that signs it.
pub(super) struct Signed {
    header: Result<String, BadSignature>,
    body: Bytes,
}

/// `POST /v1/payment-webhooks/{provider}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "payment-webhooks" / ProviderName);
    let signed = warp::header::headers_cloned()
        .and(edge.raw_json())
        .map(|headers: HeaderMap, body| Signed {
            header: one_of(&headers),
            body,
        });
    Route::new(
        Method::POST,
        template,
        at.and(signed)
            .and(context())
            .and(warp::path::full())
            .and(edge.itself())
            .then(report),
    )
}

/// Takes note of a payment's report
///
/// Called by the payment's provider, which signs what it sends. A captured payment confirms the order. If the
/// order has expired, all of its units are reserved again and it is confirmed; if they are no longer there, the
/// payment is refunded in full and the order stays expired. A payment that does not pay the order - it is paid by
/// another, cancelled, or its total is another amount - is refunded in full. A payment that was made in the shop is not
/// another one: it is known by its `reference`, or named by the first report that fits it. Each report and each captured payment
/// takes effect once, however often it is sent.
///
/// A declined payment is told, and its order may be paid otherwise until it expires. If the order had been confirmed on
/// the promise of this very payment, by its `reference`, the payment is `voided`: the order is not shipped until it is
/// paid, by either way.
#[utoipa::path(
    post, path = "/v1/payment-webhooks/{provider}", tag = "orders", operation_id = "reportPayment",
    params(
        ("provider" = schema::PaymentProviderName, Path, description = "Who reports."),
        ("Payment-Signature" = String, Header,
            description = "`t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256, under the secret that shop and provider \
                share, of the time, a full stop and the body. Several `v1` may be sent, in one header; one has to be right. The \
                time may be 300 s off."),
    ),
    request_body = PaymentReportRequest,
    responses(
        (status = 204, description = "The report has been taken note of, now or before."),
        (status = 401, description = "`invalid-signature`: the signature is missing, cannot be read, of something else, or too old; or there are several headers of it."),
        (status = 404, description = "`not-found`: there is no such order, or not yet, or the provider has no secret here. Send it again later."),
        (status = 409, description = "`request-in-progress`: the same report is being taken note of."),
        (status = 422, description = "`validation`: the fields are not acceptable; or `idempotency-key-reuse`: another report had this id in the last 48 hours."),
    ),
)]
pub(super) async fn report(
    provider: ProviderName,
    signed: Signed,
    context: RequestContext,
    path: FullPath,
    edge: Edge,
) -> Answer {
    let mut known = edge.options().payment_webhooks.iter();
    let keys = known.find(|keys| keys.provider().as_str() == provider.0);
    let keys = keys.ok_or_else(Problem::not_found)?;
    let verified = signed
        .header
        .and_then(|header| keys.verify(&header, &signed.body, edge.shop().now()));
    verified.map_err(|error| Problem::invalid_signature(error.to_string()))?;

    let provider = keys.provider();
    let subject = Subject::provider(principal(provider));
    context.limits().admit(edge.shop(), subject).await?;
    let body: PaymentReportRequest = parse(&signed.body)?;
    let id = PaymentId::mint(edge.shop().now(), edge.shop().entropy());
    let (key, report) = body.read(provider, id)?;
    let order_id = body.order_id;
    let budget = edge.options().operation_budget;
    let submission = Submission::new(body, context, &path, Some(key), budget)?;
    let (mutation, _) = submission.into_parts(principal(provider));
    edge.shop().payment_report(&mutation, order_id, report).await?;
    Ok(Reply::no_content())
}

/// Takes the one header that signs a body. Of several it would be open which one counts.
fn one_of(headers: &HeaderMap) -> Result<String, BadSignature> {
    let mut values = headers.get_all("payment-signature").iter();
    let value = values.next().ok_or(BadSignature::Malformed)?;
    if values.next().is_some() {
        return Err(BadSignature::Several);
    }
    // What is not ASCII is no signature.
    let value = value.to_str().map_err(|_| BadSignature::Malformed)?;
    Ok(value.to_owned())
}

impl PaymentReportRequest {
    /// Reads the report, and the key under which it is remembered.
    fn read(
        &self,
        provider: PaymentProvider,
        id: PaymentId,
    ) -> Result<(OperationKey, PaymentReport), Problem> {
        let mut checks = Checks::default();
        let key = checks.take(key_of(&self.id));
        checks.take(text::check(
            "/payment_reference",
            &self.payment_reference,
            1,
            NAME_MAX_CHARS,
        ));
        let amount = checks.take(self.amount.parse("/amount"));
        checks.require(
            amount.is_none_or(|amount| amount.amount >= 0),
            "/amount/amount",
            "must not be negative",
        );
        if let Some(reason) = &self.reason {
            checks.take(text::check("/reason", reason, 0, REASON_MAX_CHARS));
        }
        let outcome = match (self.r#type.as_str(), &self.reason) {
            ("payment.captured", None) => Ok(Reported::Captured),
            ("payment.captured", Some(_)) => Err(FieldError::new("/reason", "is for declined payments")),
            ("payment.declined", reason) => Ok(Reported::Declined(reason.clone().unwrap_or_default())),
            _ => Err(FieldError::new(
                "/type",
                "must be payment.captured or payment.declined",
            )),
        };
        let outcome = checks.take(outcome);
        let read = key.zip(amount).zip(outcome);
        let ((key, amount), outcome) = checks.finish(read)?;
        let report = PaymentReport {
            id,
            provider,
            reference: self.payment_reference.clone(),
            amount,
            outcome,
        };
        Ok((key, report))
    }
}

/// Makes a key of a report's name, which may be shorter than one, and may begin with a quote.
fn key_of(id: &str) -> Result<OperationKey, FieldError> {
    let is_printable = id.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let is_fit = is_printable && (1..=NAME_MAX_CHARS).contains(&id.len());
    let key = is_fit.then(|| OperationKey::parse(&format!("report {id}")).ok());
    key.flatten().ok_or_else(|| {
        let message = format!("must be 1 to {NAME_MAX_CHARS} printable ASCII characters without spaces");
        FieldError::new("/id", message)
    })
}

/// Returns the id by which a provider's reports are remembered.
fn principal(provider: PaymentProvider) -> Uuid {
    let hash = sha256(&[b"payment provider\0", provider.as_str().as_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}
