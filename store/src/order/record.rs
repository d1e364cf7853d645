//! An order's row: the order, and what is needed to answer for it again.

use holdfast_domain::{
    Fingerprint, JsonObject, Money, OperationKey, Order, OrderId, OrderLine, OrderStatus, Payment, PaymentId,
    PaymentProvider, Refusal, Timestamp, UserId,
};
use serde::{
    Deserialize,
    de::{
        IntoDeserializer,
        value::{Error as ValueError, StringDeserializer},
    },
};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError, decode};

/// How far the making of an order has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Its products are being asked; not yet an order to anybody but its owner.
    Placing {
        /// When its owner gives up, on the Postgres clock.
        deadline: Timestamp,
    },
    /// It was refused; remembered for the sake of its key.
    Refused(Refusal),
    /// It is an order: its status is [`Order::status`].
    Placed,
}

/// An order as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The order.
    pub order: Order,
    /// How far its making has come.
    pub state: OrderState,
    /// The key with which its customer asked for it: makes at most one order, ever.
    pub operation_key: OperationKey,
    /// What the request asked for.
    pub fingerprint: Fingerprint,
    /// Whether products have reservations to ship, release or make anew because of it.
    pub unsettled: bool,
    /// The round of its reservations that it asks for: counts the payments that came too late.
    pub round: u32,
}

/// The columns of an order.
pub(super) struct OrderRow {
    pub(super) order_id: Uuid,
    pub(super) customer_id: Uuid,
    pub(super) operation_key: String,
    pub(super) fingerprint: Vec<u8>,
    pub(super) state: String,
    pub(super) lines: Json<Vec<OrderLine>>,
    pub(super) total_minor: i64,
    pub(super) currency: String,
    pub(super) shipping_address: Option<Json<JsonObject>>,
    pub(super) note: Option<String>,
    pub(super) payment: Option<Json<Payment>>,
    pub(super) refusal: Option<Json<Refusal>>,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) place_deadline: Option<OffsetDateTime>,
    pub(super) unsettled: bool,
    pub(super) round: i32,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
    pub(super) version: i64,
}

impl TryFrom<OrderRow> for OrderRecord {
    type Error = StoreError;

    fn try_from(row: OrderRow) -> Result<Self, StoreError> {
        // An order that is not placed has no status yet; it would begin with the first.
        let (state, status) = match (row.state.as_str(), row.place_deadline, row.refusal) {
            ("placing", Some(deadline), None) => {
                let deadline = deadline.into();
                (OrderState::Placing { deadline }, OrderStatus::PendingPayment)
            }
            ("refused", None, Some(refusal)) => (OrderState::Refused(refusal.0), OrderStatus::PendingPayment),
            (status, None, None) => (OrderState::Placed, decode::parsed("orders.state", status)?),
            (state, ..) => {
                return Err(StoreError::corrupt(format_args!(
                    "order {} is {state}",
                    row.order_id
                )));
            }
        };
        Ok(Self {
            order: Order {
                id: OrderId(row.order_id),
                status,
                lines: row.lines.0,
                total: Money::new(row.total_minor, decode::parsed("orders.currency", &row.currency)?),
                customer_id: UserId(row.customer_id),
                shipping_address: row.shipping_address.map(|address| address.0),
                note: row.note,
                payment: row.payment.map(|payment| payment.0),
                expires_at: row.expires_at.map(Timestamp::from),
                created_at: row.created_at.into(),
                updated_at: row.updated_at.into(),
                version: row.version,
            },
            state,
            operation_key: operation_key(row.operation_key)?,
            fingerprint: Fingerprint(decode::sha256("orders.fingerprint", &row.fingerprint)?),
            unsettled: row.unsettled,
            round: decode::count("orders.round", row.round)?,
        })
    }
}

/// Converts a stored key, which is bare: parsing it as a header's value could unquote it again.
fn operation_key(text: String) -> Result<OperationKey, StoreError> {
    let text: StringDeserializer<ValueError> = text.into_deserializer();
    OperationKey::deserialize(text).map_err(StoreError::corrupt)
}

impl OrderState {
    /// Returns the state's name in the database: the status's once it is placed.
    pub(crate) fn column(&self, order: &Order) -> &'static str {
        match self {
            Self::Placing { .. } => "placing",
            Self::Refused(_) => "refused",
            Self::Placed => order.status.as_str(),
        }
    }
}

/// Selects orders; the argument is the rest of the statement.
macro_rules! select_orders {
    ($rest:tt, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            OrderRow,
            r#"SELECT order_id, customer_id, operation_key, fingerprint, state,
                      lines AS "lines: Json<Vec<OrderLine>>", total_minor, currency,
                      shipping_address AS "shipping_address: Json<JsonObject>", note,
                      payment AS "payment: Json<Payment>", refusal AS "refusal: Json<Refusal>", expires_at,
                      place_deadline, unsettled, round, created_at, updated_at, version
               FROM orders "# + $rest,
            $($argument),*
        )
    };
}
pub(super) use select_orders;

impl Store {
    /// Reads an order's row, whatever its state.
    pub async fn order_record(&self, order_id: OrderId) -> Result<Option<OrderRecord>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                select_orders!("WHERE order_id = $1", order_id.0)
                    .fetch_optional(c)
                    .await
            })
            .await?;
        row.map(OrderRecord::try_from).transpose()
    }

    /// Finds the order that a customer's key made.
    pub async fn order_by_key(
        &self,
        customer_id: UserId,
        key: &OperationKey,
    ) -> Result<Option<OrderRecord>, StoreError> {
        let row = self
            .run_by_key(async |c| {
                select_orders!(
                    "WHERE customer_id = $1 AND operation_key = $2",
                    customer_id.0,
                    key.as_str(),
                )
                .fetch_optional(c)
                .await
            })
            .await?;
        row.map(OrderRecord::try_from).transpose()
    }

    /// Returns an order as it was when it was placed, from its first event.
    pub async fn placed_snapshot(&self, order_id: OrderId) -> Result<Option<Order>, StoreError> {
        let order = self
            .run_by_key(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT data -> 'order' AS "order!: Json<Order>" FROM event
                       WHERE aggregate = 'order' AND subject = $1 AND kind = 'order.placed'"#,
                    order_id.0,
                )
                .fetch_optional(c)
                .await
            })
            .await?;
        Ok(order.map(|order| order.0))
    }

    /// Tells whether an order's events tell that a payment, by its provider's own name, was captured. It may
    /// have got its name later than it was captured, and been given back meanwhile.
    pub async fn payment_is_known(
        &self,
        order_id: OrderId,
        provider: PaymentProvider,
        reference: &str,
    ) -> Result<bool, StoreError> {
        self.run_by_key(async |c| {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (
                       SELECT FROM event
                       WHERE aggregate = 'order' AND subject = $1
                         AND kind IN ('payment.captured', 'order.updated')
                         AND data -> 'payment' ->> 'provider' = $2 AND data ->> 'reference' = $3
                         AND data -> 'payment' ->> 'status' <> 'authorised'
                   ) AS "known!""#,
                order_id.0,
                provider.as_str(),
                reference,
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Returns the last name by which an order's events call one of its payments.
    pub async fn payment_name(
        &self,
        order_id: OrderId,
        payment_id: PaymentId,
    ) -> Result<Option<String>, StoreError> {
        self.run_by_key(async |c| {
            sqlx::query_scalar!(
                r#"SELECT data ->> 'reference' AS "name!" FROM event
                   WHERE aggregate = 'order' AND subject = $1
                     AND kind IN ('payment.captured', 'order.confirmed', 'order.updated')
                     AND data -> 'payment' ->> 'id' = $2 AND data ->> 'reference' IS NOT NULL
                   ORDER BY sequence DESC LIMIT 1"#,
                order_id.0,
                payment_id.0.to_string(),
            )
            .fetch_optional(c)
            .await
        })
        .await
    }
}
