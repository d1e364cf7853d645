//! An order on the wire.

use holdfast_domain::{
    JsonObject, Money, Order, OrderId, OrderLine, OrderStatus, Payment, PaymentProvider, ProductId,
    Timestamp, UserId, payment::PaymentStatus,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{money::MoneyBody, openapi::schema};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderBody {
    /// The order's id.
    #[schema(value_type = Uuid)]
    id: OrderId,
    /// Where it stands.
    #[schema(value_type = schema::OrderStatusName)]
    status: OrderStatus,
    /// What was ordered, each product once; a seller sees own lines only.
    lines: Vec<LineBody>,
    /// The sum of the lines' totals.
    total: MoneyBody,
    /// Who ordered.
    #[schema(value_type = Uuid)]
    customer_id: UserId,
    /// Where it goes; the client's own object.
    #[schema(value_type = Option<Object>, example = json!({"city": "Turin"}))]
    shipping_address: Option<JsonObject>,
    /// The customer's words.
    #[schema(example = "leave it with the neighbour")]
    note: Option<String>,
    /// The payment, once one was accepted.
    payment: Option<OrderPaymentBody>,
    /// Until when it must be paid; null once it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Counts its events, from 1; the `ETag`'s number.
    #[schema(example = 1)]
    version: i64,
}

/// One product of an order, as it was when the order was placed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub(crate) struct LineBody {
    /// The product.
    #[schema(value_type = Uuid)]
    product_id: ProductId,
    /// Its SKU then.
    #[schema(example = "MUG-1")]
    sku: String,
    /// Its name then.
    #[schema(example = "Mug")]
    name: String,
    /// Who sells it.
    #[schema(value_type = Uuid)]
    seller_id: UserId,
    /// Units ordered.
    #[schema(example = 2)]
    quantity: u32,
    /// The price of one unit then.
    unit_price: MoneyBody,
    /// `unit_price` times `quantity`.
    line_total: MoneyBody,
    /// Units shipped.
    #[schema(example = 0)]
    fulfilled: u32,
    /// Units sent back.
    #[schema(example = 0)]
    returned: u32,
}

/// How far an order is paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderPayment)]
pub(crate) struct OrderPaymentBody {
    /// How far the payment has come.
    #[schema(value_type = schema::PaymentStatusName)]
    status: PaymentStatus,
    /// Who moves the money.
    #[schema(value_type = schema::PaymentProviderName)]
    provider: PaymentProvider,
    /// What has moved to the shop.
    captured: MoneyBody,
    /// What has moved back.
    refunded: MoneyBody,
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        Self {
            id: order.id,
            status: order.status,
            lines: order.lines.into_iter().map(LineBody::from).collect(),
            total: order.total.into(),
            customer_id: order.customer_id,
            shipping_address: order.shipping_address,
            note: order.note,
            payment: order.payment.map(OrderPaymentBody::from),
            expires_at: order.expires_at,
            created_at: order.created_at,
            updated_at: order.updated_at,
            version: order.version,
        }
    }
}

impl From<OrderLine> for LineBody {
    fn from(line: OrderLine) -> Self {
        Self {
            product_id: line.product_id,
            sku: line.sku.to_string(),
            name: line.name,
            seller_id: line.seller_id,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            line_total: line.line_total.into(),
            fulfilled: line.fulfilled,
            returned: line.returned,
        }
    }
}

impl From<Payment> for OrderPaymentBody {
    fn from(payment: Payment) -> Self {
        let currency = payment.amount.currency;
        Self {
            status: payment.status,
            provider: payment.provider,
            captured: Money::new(payment.captured, currency).into(),
            refunded: Money::new(payment.refunded, currency).into(),
        }
    }
}
