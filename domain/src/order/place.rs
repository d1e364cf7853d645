//! Placing an order.

use std::{borrow::Borrow, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Change, Order, OrderLine, OrderStatus, event};
use crate::{
    EventKind, FieldError, JsonObject, Money, OrderId, Product, ProductId, ProductStatus, Quantity, Refusal,
    Timestamp, UserId,
    text::{self, NOTE_MAX_CHARS},
};

/// The most lines that an order may have, before repeated products are added up.
pub const LINES_MAX: usize = 100;

/// A product and how many units of it are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLine {
    /// The product.
    pub product_id: ProductId,
    /// Units wanted.
    pub quantity: Quantity,
}

/// An order as its customer asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The order's id, in the shard of its lowest product id.
    pub id: OrderId,
    /// Who orders.
    pub customer_id: UserId,
    /// What is wanted, by ascending product id; see [`merge_lines`].
    pub lines: Vec<WantedLine>,
    /// Where it goes.
    pub shipping_address: Option<JsonObject>,
    /// The customer's words.
    pub note: Option<String>,
    /// What the customer expects to pay; `None`: whatever it costs.
    pub expected_total: Option<Money>,
}

/// Adds up lines that repeat a product and sorts them by product id.
///
/// # Errors
/// [`Refusal::Invalid`]: none or too many lines, or a quantity outside of `1..=10_000`.
pub fn merge_lines(lines: impl IntoIterator<Item = (ProductId, u32)>) -> Result<Vec<WantedLine>, Refusal> {
    let mut wanted = BTreeMap::<ProductId, u32>::new();
    let (mut count, mut errors) = (0_usize, Vec::new());
    let message = format!(
        "must be 1 to {}, all lines of a product together",
        Quantity::LINE_MAX
    );
    for (product_id, quantity) in lines {
        let units = wanted.entry(product_id).or_default();
        *units = units.saturating_add(quantity);
        if quantity == 0 || *units > Quantity::LINE_MAX {
            errors.push(FieldError::new(
                format!("/lines/{count}/quantity"),
                message.clone(),
            ));
        }
        count += 1;
        if count > LINES_MAX {
            break;
        }
    }
    if count == 0 || count > LINES_MAX {
        errors.push(FieldError::new(
            "/lines",
            format!("must have 1 to {LINES_MAX} lines"),
        ));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let line = |(product_id, units)| Quantity::new(units).map(|quantity| WantedLine { product_id, quantity });
    Ok(wanted.into_iter().filter_map(line).collect())
}

impl NewOrder {
    /// Checks what can be checked without knowing the products.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        if let Some(note) = &self.note {
            errors.extend(text::check("/note", note, 0, NOTE_MAX_CHARS).err());
        }
        if let Some(address) = &self.shipping_address {
            errors.extend(text::check_object("/shipping_address", address).err());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(errors))
        }
    }
}

/// Places an order whose units have been found to be there.
///
/// `products` holds the product of every line, in the order of the lines.
///
/// # Errors
/// [`Refusal::Invalid`]: a product is not for sale, currencies are mixed, or the total is too large.
/// [`Refusal::PriceChanged`]: the total is not the expected one.
pub fn place(
    new: &NewOrder,
    products: &[impl Borrow<Product>],
    at: Timestamp,
    payment_deadline: Duration,
) -> Result<Change, Refusal> {
    new.check()?;
    let lines = price(new, products)?;
    let total = total(&lines)?;
    if new.expected_total.is_some_and(|expected| expected != total) {
        return Err(Refusal::PriceChanged { actual: total });
    }
    let order = Order {
        id: new.id,
        status: OrderStatus::PendingPayment,
        lines,
        total,
        customer_id: new.customer_id,
        shipping_address: new.shipping_address.clone(),
        note: new.note.clone(),
        payment: None,
        expires_at: Some(at.plus(payment_deadline)),
        created_at: at,
        updated_at: at,
        version: 1,
    };
    Ok(placed(order, at, payment_deadline))
}

/// What the first event of an order tells.
#[derive(Serialize)]
struct Placed<'a> {
    order: &'a Order,
}

/// Makes the change that places a priced order: its first event, and its time to be paid.
pub fn placed(order: Order, at: Timestamp, payment_deadline: Duration) -> Change {
    let order = Order {
        expires_at: Some(at.plus(payment_deadline)),
        created_at: at,
        updated_at: at,
        version: 1,
        ..order
    };
    let placed = event(EventKind::OrderPlaced, Placed { order: &order });
    let actor_id = Some(order.customer_id.0);
    Change {
        order,
        events: vec![placed],
        actor_id,
        unsettled: false,
        renews: false,
    }
}

fn price(new: &NewOrder, products: &[impl Borrow<Product>]) -> Result<Vec<OrderLine>, Refusal> {
    let mut errors = Vec::new();
    let mut lines = Vec::with_capacity(new.lines.len());
    for (index, wanted) in new.lines.iter().enumerate() {
        let mut products = products.iter().map(Borrow::borrow);
        let product = products.find(|product| product.id == wanted.product_id);
        let Some(product) = product.filter(|product| product.status == ProductStatus::Active) else {
            errors.push(FieldError::new(
                format!("/lines/{index}/product_id"),
                "is not a product that is for sale",
            ));
            continue;
        };
        let quantity = wanted.quantity.get();
        match product.price.checked_mul(quantity) {
            Ok(line_total) => lines.push(OrderLine {
                product_id: product.id,
                sku: product.sku.clone(),
                name: product.name.clone(),
                seller_id: product.seller_id,
                quantity,
                unit_price: product.price,
                line_total,
                fulfilled: 0,
                returned: 0,
            }),
            Err(error) => errors.push(FieldError::new(format!("/lines/{index}"), error.to_string())),
        }
    }
    if errors.is_empty() {
        Ok(lines)
    } else {
        Err(Refusal::Invalid(errors))
    }
}

fn total(lines: &[OrderLine]) -> Result<Money, Refusal> {
    let mut totals = lines.iter().map(|line| line.line_total);
    let first = totals
        .next()
        .ok_or_else(|| Refusal::invalid("/lines", "must not be empty"))?;
    totals
        .try_fold(first, Money::checked_add)
        .map_err(|error| Refusal::invalid("/lines", error.to_string()))
}
