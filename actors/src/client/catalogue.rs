//! Products and stock.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{
    Caller, Movement, Product, ProductId, Refusal, StockLevel,
    access::{may_edit_product, may_see_product},
    product::ProductPatch,
};
use holdfast_store::{Page, PageRequest, ProductFilter, ProductKey, ProductSort, StoreError};
use tokio::time::timeout;

use super::{Client, Freshness, Read};
use crate::{
    Error,
    cache::{FromDatabase, FromOwner, KnownProduct, ListKey, sees_only_active},
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
    ) -> Result<Read<Arc<KnownProduct>>, Error> {
        self.product_and_stock(context, viewer, id, freshness, |found| found.product.version)
            .await
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
            .product_and_stock(context, viewer, id, freshness, |found| found.stock.version)
            .await?;
        Ok(read.map(|found| found.stock))
    }

    async fn product_and_stock(
        &self,
        context: &CallContext,
        viewer: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
        version: impl Fn(&KnownProduct) -> i64,
    ) -> Result<Read<Arc<KnownProduct>>, Error> {
        let is_enough =
            |found: &KnownProduct| freshness.min_version.is_none_or(|least| version(found) >= least);
        let near = if freshness.linearizable {
            None
        } else if self.shared.caches.products.is_enabled() && sees_only_active(viewer) {
            self.product_kept_or_told(context, id, &is_enough).await?
        } else {
            self.product_from_owner(context, id).await?.map(Read::fresh)
        };
        let read = match near.filter(|read| is_enough(&read.value)) {
            Some(read) => read,
            None => Read::fresh(
                self.await_version(freshness.min_version, context.budget, async || {
                    let found = self.product_from_database(context, id).await?;
                    Ok((version(&found), found))
                })
                .await?,
            ),
        };
        if !may_see_product(viewer, &read.value.product) {
            return Err(Refusal::NotFound.into());
        }
        Ok(read)
    }

    /// Reads what this node keeps, or else asks the owner together with whoever else asks;
    /// `None` when no owner can be reached.
    async fn product_kept_or_told(
        &self,
        context: &CallContext,
        id: ProductId,
        is_enough: impl Fn(&KnownProduct) -> bool,
    ) -> Result<Option<Read<Arc<KnownProduct>>>, Error> {
        let products = &self.shared.caches.products;
        if let Some(kept) = products.get(id, is_enough) {
            return Ok(Some(Read {
                value: kept.found,
                staleness_ms: kept.staleness_ms,
            }));
        }
        let (client, context) = (self.clone(), context.clone());
        let told = products
            .ask_owner(id, move || {
                let (client, context) = (client.clone(), context.clone());
                async move {
                    match client.product_from_owner(&context, id).await {
                        Ok(Some(found)) => FromOwner::Found(found),
                        Err(Error::Refused { .. }) => FromOwner::Absent,
                        Ok(None) => FromOwner::Nobody,
                        Err(error) => {
                            tracing::error!(
                                error = &error as &dyn std::error::Error,
                                "an owner could not be read from"
                            );
                            FromOwner::Nobody
                        }
                    }
                }
            })
            .await;
        match told.said {
            FromOwner::Found(value) => Ok(Some(Read {
                value,
                staleness_ms: told.staleness_ms,
            })),
            FromOwner::Absent => Err(Refusal::NotFound.into()),
            FromOwner::Nobody => Ok(None),
        }
    }

    /// Reads from the owner's memory; `None` when no owner can be reached, for then the database can.
    async fn product_from_owner(
        &self,
        context: &CallContext,
        id: ProductId,
    ) -> Result<Option<Arc<KnownProduct>>, Error> {
        let context = CallContext {
            budget: context.budget.min(OWNER_PATIENCE),
            ..context.clone()
        };
        match self
            .ask::<(Product, StockLevel)>(Request::Product(ProductCommand::Read(id)), &context, None)
            .await
        {
            Ok(done) => {
                let (product, stock) = done.value;
                Ok(Some(Arc::new(KnownProduct::new(product, stock))))
            }
            Err(Error::Unavailable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads from the database, in a statement that begins from now on.
    async fn product_from_database(
        &self,
        context: &CallContext,
        id: ProductId,
    ) -> Result<Arc<KnownProduct>, Error> {
        let store = self.shared.store.clone();
        let reading = self.shared.caches.products.ask_database(id, move || {
            let store = store.clone();
            async move {
                match store.product(id).await {
                    Ok(Some(found)) => FromDatabase::Found(Arc::new(found.into())),
                    Ok(None) => FromDatabase::Absent,
                    Err(error) => FromDatabase::Failed(not_read(error)),
                }
            }
        });
        match timeout(context.budget, reading).await {
            Ok(FromDatabase::Found(found)) => Ok(found),
            Ok(FromDatabase::Absent) => Err(Refusal::NotFound.into()),
            Ok(FromDatabase::Failed(reason)) => Err(Error::unavailable(reason)),
            Err(_) => Err(Error::unavailable("the budget was spent on reading")),
        }
    }

    /// Lists the products that the filter's viewer may see.
    pub async fn products(
        &self,
        filter: &ProductFilter,
        sort: ProductSort,
        page: &PageRequest<ProductKey>,
        freshness: Freshness,
    ) -> Result<Read<Page<Product, ProductKey>>, Error> {
        let lists = &self.shared.caches.lists;
        let key =
            ListKey::public(filter, sort, page).filter(|_| lists.is_enabled() && !freshness.linearizable);
        let Some(key) = key else {
            return Ok(Read::fresh(
                self.shared.store.products_list(filter, sort, page).await?,
            ));
        };
        let (store, asked) = (self.shared.store.clone(), key.clone());
        let found = lists
            .get(&key, move || {
                let (store, asked) = (store.clone(), asked.clone());
                async move {
                    let (filter, sort, page) = asked.question();
                    let found = store.products_list(&filter, sort, &page).await;
                    found.map(Arc::new).map_err(not_read)
                }
            })
            .await
            .map_err(Error::unavailable)?;
        Ok(Read {
            value: Arc::unwrap_or_clone(found.page),
            staleness_ms: found.staleness_ms,
        })
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

/// Tells why the database could not be read from, to those who shared the statement; logs it once.
fn not_read(error: StoreError) -> &'static str {
    match Error::from(error) {
        Error::Unavailable { reason, .. } => reason,
        error => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a statement that several readers share has failed"
            );
            "a statement that several readers share has failed"
        }
    }
}
