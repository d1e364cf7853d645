//! Products and stock.

use std::sync::Arc;

use holdfast_actors::{
    Error,
    client::{
        Freshness, KnownProduct, Page, PageRequest, ProductFilter, ProductKey, ProductPosition, ProductSort,
        Read,
    },
    command::{Adjusted, Adjustment, CallContext, Done, Mutation, NewProduct, StockTarget},
};
use holdfast_domain::{
    Caller, JsonObject, Money, Movement, MovementId, MovementKind, Product, ProductId, ProductStatus, Sku,
    StockLevel, UserId, product::ProductPatch, stock::StockChange,
};

use super::{NOW, Shop, VERSION};

impl Shop {
    pub(crate) async fn product_create(
        &self,
        mutation: &Mutation,
        _: &Caller,
        new: NewProduct,
    ) -> Result<Done<Product>, Error> {
        self.done(mutation, product(new.id))
    }

    pub(crate) async fn product(
        &self,
        _: &CallContext,
        _: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<Arc<KnownProduct>>, Error> {
        self.read(freshness, Arc::new(KnownProduct::new(product(id), level(id))))
    }

    pub(crate) async fn stock(
        &self,
        _: &CallContext,
        _: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<StockLevel>, Error> {
        self.read(freshness, level(id))
    }

    pub(crate) async fn products(
        &self,
        _: &ProductFilter,
        sort: ProductSort,
        page: &PageRequest<ProductKey>,
        freshness: Freshness,
    ) -> Result<Read<Page<Product, ProductKey>>, Error> {
        let product_id = ProductId::mint(NOW, [2; 10]);
        let position = match sort {
            ProductSort::Oldest | ProductSort::Newest => ProductPosition::CreatedAt(NOW),
            ProductSort::Cheapest | ProductSort::Dearest => ProductPosition::Price(1_999),
            ProductSort::Name => ProductPosition::Name("Mug".to_owned()),
        };
        let page = self.page(
            page,
            product(product_id),
            ProductKey {
                sort,
                position,
                product_id,
            },
        )?;
        self.read(freshness, page)
    }

    pub(crate) async fn product_edit(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        _: ProductPatch,
        expected_version: i64,
    ) -> Result<Done<Product>, Error> {
        self.done(
            mutation,
            Product {
                version: expected_version + 1,
                ..product(id)
            },
        )
    }

    pub(crate) async fn product_archive(
        &self,
        mutation: &Mutation,
        _: &Caller,
        _: ProductId,
        _: i64,
    ) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn stock_adjust(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        adjustment: Adjustment,
    ) -> Result<Done<Adjusted>, Error> {
        self.done(
            mutation,
            Adjusted {
                movement_id: adjustment.movement_id,
                level: level(id),
            },
        )
    }

    pub(crate) async fn stock_set(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        target: StockTarget,
    ) -> Result<Done<StockLevel>, Error> {
        let version = target.expected_version + 1;
        self.done(
            mutation,
            StockLevel {
                on_hand: target.on_hand,
                version,
                ..level(id)
            },
        )
    }

    pub(crate) async fn stock_movements(
        &self,
        caller: &Caller,
        id: ProductId,
        page: &PageRequest<i64>,
    ) -> Result<Page<Movement, i64>, Error> {
        let change = StockChange {
            movement_id: MovementId::mint(NOW, [3; 10]),
            kind: MovementKind::Initial,
            delta_on_hand: 100,
            delta_reserved: 0,
            order_id: None,
            reason: None,
            note: None,
            actor_id: caller.user_id,
            at: NOW,
        };
        self.page(
            page,
            Movement {
                change,
                level: level(id),
            },
            VERSION,
        )
    }
}

pub(super) fn product(id: ProductId) -> Product {
    Product {
        id,
        sku: Sku::parse("MUG-1").expect("a SKU"),
        name: "Mug".to_owned(),
        description: String::new(),
        price: price(),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id: UserId::mint(NOW, [6; 10]),
        low_stock_threshold: None,
        created_at: NOW,
        updated_at: NOW,
        version: VERSION,
    }
}

pub(super) fn price() -> Money {
    Money::new(1_999, "EUR".parse().expect("a currency"))
}

fn level(product_id: ProductId) -> StockLevel {
    StockLevel {
        product_id,
        on_hand: 100,
        reserved: 3,
        version: VERSION,
    }
}
