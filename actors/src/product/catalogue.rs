//! Making, editing and archiving a product.

use std::sync::Arc;

use holdfast_domain::{
    Event, EventId, EventKind, JsonObject, Movement, MovementId, MovementKind, Product, Refusal, StockLevel,
    Timestamp,
    access::may_edit_product,
    product::ProductPatch,
    stock::{ON_HAND_MAX, StockChange},
};
use holdfast_store::StoreError;
use serde_json::json;

use super::{Known, holds};
use crate::{
    cache::Part,
    command::{By, NewProduct, Reply},
    entity::{Context, Fault, Outcome, done, refused},
    operations,
};

pub(super) async fn create(
    context: &Context,
    known: &mut Option<Known>,
    by: &By,
    new: NewProduct,
) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    let at = context.now();
    let product = Product {
        id: new.id,
        sku: new.sku,
        name: new.name,
        description: new.description,
        price: new.price,
        status: new.status,
        attributes: new.attributes,
        seller_id: by.caller.user_id,
        low_stock_threshold: new.low_stock_threshold,
        created_at: at,
        updated_at: at,
        version: 1,
    };
    if let Err(refusal) = product.check() {
        return refused(refusal);
    }
    if new.stock > ON_HAND_MAX {
        return refused(Refusal::invalid(
            "/stock",
            format!("must be at most {ON_HAND_MAX}"),
        ));
    }
    let level = StockLevel {
        product_id: product.id,
        on_hand: new.stock,
        reserved: 0,
        version: 1,
    };
    let record = operations::record(context, &by.operation, &Ok(Reply::Product(product.clone())));
    let made = holdfast_store::NewProduct {
        initial: initial(level, by, at),
        events: vec![told(EventKind::ProductCreated, &product, by)],
        product: product.clone(),
    };
    match context
        .shared
        .store
        .product_create(&context.lease, Some(&record), &made)
        .await
    {
        Ok(()) => {
            let made = Known {
                product: Arc::new(product.clone()),
                holds: holds(context, level),
            };
            context.shared.caches.changed(made.versions(), Part::Catalogue);
            *known = Some(made);
            done(Reply::Product(product))
        }
        Err(error) => not_saved(context, by, error).await,
    }
}

pub(super) async fn edit(
    context: &Context,
    known: Option<&mut Known>,
    by: &By,
    patch: ProductPatch,
    expected_version: i64,
) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    let Some(known) = known.filter(|known| may_edit_product(&by.caller, &known.product)) else {
        return refused(Refusal::NotFound);
    };
    match known.product.edit(patch, expected_version, context.now()) {
        Ok(product) => {
            let reply = Reply::Product(product.clone());
            save(context, known, by, product, EventKind::ProductUpdated, reply).await
        }
        Err(refusal) => refused(refusal),
    }
}

pub(super) async fn archive(
    context: &Context,
    known: Option<&mut Known>,
    by: &By,
    expected_version: i64,
) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    let Some(known) = known.filter(|known| may_edit_product(&by.caller, &known.product)) else {
        return refused(Refusal::NotFound);
    };
    match known.product.archive(expected_version, context.now()) {
        Ok(product) => {
            save(
                context,
                known,
                by,
                product,
                EventKind::ProductArchived,
                Reply::Ended,
            )
            .await
        }
        Err(refusal) => refused(refusal),
    }
}

async fn save(
    context: &Context,
    known: &mut Known,
    by: &By,
    product: Product,
    kind: EventKind,
    reply: Reply,
) -> Outcome {
    let record = operations::record(context, &by.operation, &Ok(reply.clone()));
    let event = told(kind, &product, by);
    match context
        .shared
        .store
        .product_save(&context.lease, Some(&record), &product, &[event])
        .await
    {
        Ok(()) => {
            known.product = Arc::new(product);
            context.shared.caches.changed(known.versions(), Part::Catalogue);
            done(reply)
        }
        Err(error) => not_saved(context, by, error).await,
    }
}

async fn not_saved(context: &Context, by: &By, error: StoreError) -> Outcome {
    match error {
        StoreError::OperationExists => operations::find(&context.desk(), &by.operation)
            .await?
            .ok_or(Fault::Conflict),
        StoreError::SkuTaken => operations::refuse(&context.desk(), &by.operation, Refusal::SkuTaken).await,
        StoreError::Version(_) => Err(Fault::Conflict),
        other => Err(other.into()),
    }
}

/// Makes the ledger's first entry, which states the stock that the product starts with.
fn initial(level: StockLevel, by: &By, at: Timestamp) -> Movement {
    let change = StockChange {
        movement_id: MovementId::mint(at, rand::random()),
        kind: MovementKind::Initial,
        delta_on_hand: i64::from(level.on_hand),
        delta_reserved: 0,
        order_id: None,
        reason: None,
        note: None,
        actor_id: by.caller.user_id,
        at,
    };
    Movement { change, level }
}

fn told(kind: EventKind, product: &Product, by: &By) -> Event {
    let data = match json!({ "product": product }) {
        serde_json::Value::Object(map) => JsonObject::from(map),
        _ => JsonObject::empty(),
    };
    Event {
        id: EventId::mint(product.updated_at, rand::random()),
        kind,
        subject: product.id.0,
        sequence: product.version,
        at: product.updated_at,
        actor_id: Some(by.caller.user_id.0),
        data,
        trace_id: crate::trace::current_id(),
    }
}
