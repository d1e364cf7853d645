//! Products, their stock, and what is promised of it.

use holdfast_domain::{
    Event, EventId, EventKind, JsonObject, Movement, MovementId, MovementKind, OrderId, Product, ProductId,
    Reservation, StockLevel, stock::StockChange,
};

use super::{Model, constraint, rejected, tables::Stock};
use crate::{EventRecord, StockedProduct, StoreError};

impl Model {
    /// Puts a product on the shelf before a simulation begins, with the first entry of its ledger and
    /// the first of its events. No node writes these: they have no epoch, and the ids of the product.
    ///
    /// # Errors
    /// [`StoreError::Rejected`]: the product exists, or it and its stock are not at version 1 with
    /// nothing reserved.
    pub fn put_product(&mut self, product: Product, stock: StockLevel) -> Result<(), StoreError> {
        let id = product.id;
        let is_new = product.version == 1 && stock.reserved == 0 && stock.product_id == id;
        if !is_new || self.tables.products.contains_key(&id) {
            return Err(rejected(format!("product {id} is not new")));
        }
        let initial = Movement {
            change: StockChange {
                movement_id: MovementId(id.0),
                kind: MovementKind::Initial,
                delta_on_hand: i64::from(stock.on_hand),
                delta_reserved: 0,
                order_id: None,
                reason: None,
                note: None,
                actor_id: product.seller_id,
                at: product.created_at,
            },
            level: stock,
        };
        constraint::stock(&stock)?;
        constraint::movement(&initial)?;
        let created = Event {
            id: EventId(id.0),
            kind: EventKind::ProductCreated,
            subject: id.0,
            sequence: 1,
            at: product.created_at,
            actor_id: Some(product.seller_id.0),
            data: JsonObject::empty(),
            trace_id: None,
        };
        self.tables.event_insert(EventRecord {
            event: created,
            node: String::new(),
            epoch: 0,
        });
        self.tables.ledger_insert(initial);
        let row = Stock {
            initial: stock.on_hand,
            level: stock,
        };
        self.tables.stock.insert(id, row);
        self.tables.products.insert(id, product);
        Ok(())
    }

    /// Reads a product and its stock.
    pub fn product(&self, product_id: ProductId) -> Option<StockedProduct> {
        Some(StockedProduct {
            product: self.tables.products.get(&product_id)?.clone(),
            stock: self.tables.stock.get(&product_id)?.level,
        })
    }

    /// Reads products and their stock, by ascending id; unknown ones are left out.
    pub fn products(&self, product_ids: &[ProductId]) -> Vec<StockedProduct> {
        let mut ids = product_ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.product(id)).collect()
    }

    /// Reads a product's whole ledger, oldest first.
    pub fn movements(&self, product_id: ProductId) -> &[Movement] {
        self.tables.movements.get(&product_id).map_or(&[], Vec::as_slice)
    }

    /// Reads a product's reservation for an order.
    pub fn reservation(&self, product_id: ProductId, order_id: OrderId) -> Option<Reservation> {
        self.tables.reservations.get(&(order_id, product_id)).copied()
    }

    /// Lists an order's reservations, by product id.
    pub fn reservations_of(&self, order_id: OrderId) -> Vec<Reservation> {
        self.tables.reservations_of(order_id).copied().collect()
    }
}
