//! What stands at the end, in the model and in Postgres.

use std::collections::BTreeMap;

use holdfast_domain::{OrderId, event::Aggregate};
use holdfast_store::{EventRecord, PageRequest, Store, model::Model};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::world::World;

/// An event, as both sides can tell it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
struct Told {
    subject: Uuid,
    sequence: i64,
    kind: String,
    event_id: Uuid,
    node: String,
    epoch: i64,
}

impl Told {
    fn of(record: &EventRecord) -> Self {
        Self {
            subject: record.event.subject,
            sequence: record.event.sequence,
            kind: record.event.kind.to_string(),
            event_id: record.event.id.0,
            node: record.node.clone(),
            epoch: record.epoch,
        }
    }
}

/// Compares everything that stands; returns the first thing that differs.
pub(super) async fn compare(
    world: &World,
    model: &Model,
    store: &Store,
    connection: &mut PgConnection,
) -> Result<(), String> {
    same("map", &model.map_load(), &store.map_load().await.expect("loads"))?;
    products(world, model, store).await?;
    orders(model, store, connection).await?;
    events(model, connection).await?;
    audit(model, store).await
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, model: &T, store: &T) -> Result<(), String> {
    if model == store {
        return Ok(());
    }
    Err(format!("{what}:\n model {model:?}\n store {store:?}"))
}

async fn products(world: &World, model: &Model, store: &Store) -> Result<(), String> {
    let ids = &world.products;
    same(
        "products",
        &model.products(ids),
        &store.products(ids).await.expect("reads"),
    )?;
    for &id in ids {
        let request = PageRequest::first(holdfast_store::PAGE_LIMIT_MAX);
        let mut ledger = Vec::new();
        let mut page = store.movements_list(id, &request).await.expect("lists");
        ledger.append(&mut page.items);
        while let Some(after) = page.next {
            let request = PageRequest {
                after: Some(after),
                ..request
            };
            page = store.movements_list(id, &request).await.expect("lists");
            ledger.append(&mut page.items);
        }
        ledger.reverse();
        same("ledger", &model.movements(id).to_vec(), &ledger)?;
    }
    Ok(())
}

async fn orders(model: &Model, store: &Store, connection: &mut PgConnection) -> Result<(), String> {
    let stored: Vec<Uuid> = sqlx::query_scalar("SELECT order_id FROM orders ORDER BY order_id")
        .fetch_all(&mut *connection)
        .await
        .expect("lists");
    let modelled: Vec<_> = model.orders().map(|record| record.order.id.0).collect();
    same("orders", &modelled, &stored)?;
    for id in stored.into_iter().map(OrderId) {
        let (modelled, stored) = (model.order_record(id), store.order_record(id).await);
        same("order", &modelled, &stored.expect("reads"))?;
        let by_key =
            modelled.and_then(|record| model.order_by_key(record.order.customer_id, &record.operation_key));
        same("key of order", &by_key.map(|record| record.order.id), &Some(id))?;
    }
    let holders: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT order_id FROM reservation")
        .fetch_all(&mut *connection)
        .await
        .expect("lists");
    for id in holders.into_iter().map(OrderId) {
        let stored = store.reservations_of(id).await.expect("reads");
        same("reservations", &model.reservations_of(id), &stored)?;
    }
    Ok(())
}

/// Leaves out those of products: no node of the model's made them.
async fn events(model: &Model, connection: &mut PgConnection) -> Result<(), String> {
    let of_lane =
        |record: &&EventRecord| matches!(record.event.kind.aggregate(), Aggregate::Order | Aggregate::Stock);
    let mut modelled: Vec<_> = model.events().filter(of_lane).map(Told::of).collect();
    let mut stored: Vec<Told> = sqlx::query_as(
        "SELECT subject, sequence, kind, event_id, node, epoch FROM event
         WHERE aggregate IN ('order', 'stock')",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("lists");
    modelled.sort_unstable();
    stored.sort_unstable();
    same("events", &modelled, &stored)
}

/// The audits count the same breaches, of which scripts make many.
async fn audit(model: &Model, store: &Store) -> Result<(), String> {
    let mut modelled: BTreeMap<&str, i64> = BTreeMap::new();
    for breach in model.audit() {
        *modelled.entry(breach.invariant).or_default() += 1;
    }
    let findings = store.audit().await.expect("audits").into_iter();
    let stored = findings
        .filter(|finding| finding.breaches > 0)
        .map(|finding| (finding.invariant, finding.breaches))
        .collect();
    same("audit", &modelled, &stored)
}
