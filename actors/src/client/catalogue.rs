//! Products and stock.

use std::time::Duration;

use holdfast_domain::{
    Caller, Movement, Product, ProductId, Refusal, StockLevel,
    access::{may_edit_product, may_see_product},
    product::ProductPatch,
};
use holdfast_store::{Page, PageRequest, ProductFilter, ProductKey, ProductSort};

use super::{Client, Freshness, Read};
use crate::{
    Error,
    command::{
        Adjusted, Adjustment, By, CallContext, Done, Mutation, NewProduct, ProductCommand, Request,
        StockTarget,
    },
};

/// How long a read looks for an owner before it asks the database.
const OWNER_PATIENCE: Duration = Duration::from_millis(250);

impl Client {
    /// Makes a product.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`]: the caller does not sell. [`Refusal::SkuTaken`].
    pub async fn product_create(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        new: NewProduct,
    ) -> Result<Done<Product>, Error> {
        caller.require_seller()?;
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(Request::Product(ProductCommand::Create(by, new)), mutation)
            .await
    }

    /// Reads a product that `viewer` (`None`: not signed in) may see.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn product(
        &self,
        context: &CallContext,
        viewer: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<Product>, Error> {
        let read = self
            .product_and_stock(context, viewer, id, freshness, |(product, _)| product.version)
            .await?;
        Ok(Read {
            value: read.value.0,
            staleness_ms: read.staleness_ms,
        })
    }

    /// Reads the counters of a product that `viewer` may see.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn stock(
        &self,
        context: &CallContext,
        viewer: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<StockLevel>, Error> {
        let read = self
            .product_and_stock(context, viewer, id, freshness, |(_, level)| level.version)
            .await?;
        Ok(Read {
            value: read.value.1,
            staleness_ms: read.staleness_ms,
        })
    }

    async fn product_and_stock(
        &self,
        context: &CallContext,
        viewer: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
        version: impl Fn(&(Product, StockLevel)) -> i64 + Send,
    ) -> Result<Read<(Product, StockLevel)>, Error> {
        let owned = if freshness.linearizable {
            None
        } else {
            self.product_from_owner(context, id).await?
        };
        let is_enough =
            |found: &(Product, StockLevel)| freshness.min_version.is_none_or(|least| version(found) >= least);
        let found = match owned.filter(is_enough) {
            Some(found) => found,
            None => {
                self.await_version(freshness.min_version, context.budget, async || {
                    let found = self.shared.store.product(id).await?.ok_or(Refusal::NotFound)?;
                    let found = (found.product, found.stock);
                    Ok((version(&found), found))
                })
                .await?
            }
        };
        if !may_see_product(viewer, &found.0) {
            return Err(Refusal::NotFound.into());
        }
        Ok(Read::fresh(found))
    }

    /// Reads from the owner's memory; `None` when no owner can be reached, for then the database can.
    async fn product_from_owner(
        &self,
        context: &CallContext,
        id: ProductId,
    ) -> Result<Option<(Product, StockLevel)>, Error> {
        let context = CallContext {
            budget: context.budget.min(OWNER_PATIENCE),
            ..context.clone()
        };
        match self
            .ask(Request::Product(ProductCommand::Read(id)), &context, None)
            .await
        {
            Ok(done) => Ok(Some(done.value)),
            Err(Error::Unavailable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the products that the filter's viewer may see.
    pub async fn products(
        &self,
        filter: &ProductFilter,
        sort: ProductSort,
        page: &PageRequest<ProductKey>,
    ) -> Result<Page<Product, ProductKey>, Error> {
        Ok(self.shared.store.products_list(filter, sort, page).await?)
    }

    /// Edits the catalogue's part of a product.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::VersionMismatch`], [`Refusal::SkuTaken`], [`Refusal::Invalid`].
    pub async fn product_edit(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: ProductId,
        patch: ProductPatch,
        expected_version: i64,
    ) -> Result<Done<Product>, Error> {
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(
            Request::Product(ProductCommand::Edit(by, id, patch, expected_version)),
            mutation,
        )
        .await
    }

    /// Takes a product off sale.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::VersionMismatch`].
    pub async fn product_archive(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: ProductId,
        expected_version: i64,
    ) -> Result<Done<()>, Error> {
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(
            Request::Product(ProductCommand::Archive(by, id, expected_version)),
            mutation,
        )
        .await
    }

    /// Changes how many units there are.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::InsufficientStock`]: fewer would be left than are reserved.
    pub async fn stock_adjust(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: ProductId,
        adjustment: Adjustment,
    ) -> Result<Done<Adjusted>, Error> {
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(
            Request::Product(ProductCommand::Adjust(by, id, adjustment)),
            mutation,
        )
        .await
    }

    /// States how many units there are.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::VersionMismatch`], [`Refusal::InsufficientStock`].
    pub async fn stock_set(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: ProductId,
        target: StockTarget,
    ) -> Result<Done<StockLevel>, Error> {
        let by = By {
            caller: *caller,
            operation: mutation.operation.clone(),
        };
        self.change(
            Request::Product(ProductCommand::SetStock(by, id, target)),
            mutation,
        )
        .await
    }

    /// Lists a product's ledger, newest first; the page key is the last entry's version.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]: the product is not the caller's to edit.
    pub async fn stock_movements(
        &self,
        caller: &Caller,
        id: ProductId,
        page: &PageRequest<i64>,
    ) -> Result<Page<Movement, i64>, Error> {
        let found = self.shared.store.product(id).await?.ok_or(Refusal::NotFound)?;
        if !may_edit_product(caller, &found.product) {
            return Err(Refusal::NotFound.into());
        }
        Ok(self.shared.store.movements_list(id, page).await?)
    }
}
