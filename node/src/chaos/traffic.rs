//! A steady stream of everything that customers do.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior, interval};
use uuid::Uuid;

use super::ChaosOptions;
use super::ledger::{Asked, Ledger};
use super::shopper::Stage;
use crate::shop::{Ask, Shop};

/// Operations under way; above it the stream sheds, as a crowd would walk out.
const IN_FLIGHT_MAX: usize = 256;

/// What a customer does next.
#[derive(Clone, Debug)]
enum Operation {
    Place { lines: Value },
    ReadProduct { product: String },
    ReadOrder { order: String },
    Pay { order: String },
    Cancel { order: String },
}

/// Drives the stream and waits for its last answers. Returns how many
/// operations were shed.
pub(super) async fn drive(
    shop: &Shop,
    stage: &Stage,
    ledger: &Arc<Ledger>,
    options: &ChaosOptions,
    mut rng: StdRng,
) -> u64 {
    let mut ticks = interval(Duration::from_secs(1) / options.rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let end = Instant::now() + options.duration;
    let mut running = JoinSet::new();
    let mut shed = 0;
    while Instant::now() < end {
        ticks.tick().await;
        while running.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            shed += 1;
            continue;
        };
        let customer = rng.random_range(0..stage.customers.len());
        let operation = choose(&mut rng, stage, ledger, customer);
        let token = stage.customers[customer].token.clone();
        let (shop, ledger) = (shop.clone(), Arc::clone(ledger));
        running.spawn(async move {
            perform(&shop, &ledger, customer, &token, operation).await;
            drop(permit);
        });
    }
    while running.join_next().await.is_some() {}
    shed
}

/// Chooses what a customer does next: mostly to order.
fn choose(rng: &mut StdRng, stage: &Stage, ledger: &Ledger, customer: usize) -> Operation {
    let product = |rng: &mut StdRng| {
        let index = rng.random_range(0..stage.products.len());
        stage.products[index].clone()
    };
    let chosen = match rng.random_range(0..100) {
        0..25 => Some(Operation::ReadProduct {
            product: product(rng),
        }),
        25..30 => ledger
            .last_open(customer)
            .map(|order| Operation::ReadOrder { order }),
        30..37 => ledger.take_open(customer).map(|order| Operation::Pay { order }),
        37..40 => ledger
            .take_open(customer)
            .map(|order| Operation::Cancel { order }),
        _ => None,
    };
    chosen.unwrap_or_else(|| {
        let count = rng.random_range(1..=3);
        let lines = (0..count)
            .map(|_| json!({ "product_id": product(rng), "quantity": rng.random_range(1..=2) }))
            .collect();
        Operation::Place { lines }
    })
}

async fn perform(shop: &Shop, ledger: &Ledger, customer: usize, token: &str, operation: Operation) {
    let began = Instant::now();
    let key = Uuid::now_v7().to_string();
    let (kind, outcome) = match operation {
        Operation::Place { lines } => {
            let body = json!({ "lines": lines });
            (
                "place an order",
                place(shop, ledger, customer, token, key, body).await,
            )
        }
        Operation::ReadProduct { product } => {
            let ask = Ask::get(format!("/v1/products/{product}")).by(token);
            ("read a product", expect(shop, &ask, &[StatusCode::OK]).await)
        }
        Operation::ReadOrder { order } => {
            let ask = Ask::get(format!("/v1/orders/{order}")).by(token);
            ("read an order", expect(shop, &ask, &[StatusCode::OK]).await)
        }
        Operation::Pay { order } => {
            let body = json!({ "provider": "test", "method": "card" });
            let ask = Ask::post(format!("/v1/orders/{order}/payments"), &body)
                .by(token)
                .under(&key);
            ("pay", expect(shop, &ask, &[StatusCode::CREATED]).await)
        }
        Operation::Cancel { order } => {
            let body = json!({ "reason": "chaos" });
            let ask = Ask::post(format!("/v1/orders/{order}/cancel"), &body)
                .by(token)
                .under(&key);
            ("cancel", expect(shop, &ask, &[StatusCode::OK]).await)
        }
    };
    match outcome {
        Ok(()) => ledger.note_latency(kind, began.elapsed()),
        Err(error) => ledger.note_unexpected(format!("{kind}: {error:#}")),
    }
}

async fn place(
    shop: &Shop,
    ledger: &Ledger,
    customer: usize,
    token: &str,
    key: String,
    body: Value,
) -> anyhow::Result<()> {
    let ask = Ask::post("/v1/orders", &body).by(token).under(&key);
    let answer = shop.ask(&ask).await;
    let order = answer
        .as_ref()
        .ok()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .and_then(|answer| answer.text("id").map(str::to_owned));
    // Before anything else: an order asked for in vain may exist all the same.
    ledger.note_order(Asked {
        customer,
        key,
        body,
        order,
    });
    let answer = answer?;
    let sold_out = answer.text("type") == Some("/problems/insufficient-stock");
    if answer.status == StatusCode::CREATED || sold_out {
        Ok(())
    } else {
        anyhow::bail!("{}: {}", answer.status, answer.body)
    }
}

async fn expect(shop: &Shop, ask: &Ask<'_>, allowed: &[StatusCode]) -> anyhow::Result<()> {
    let answer = shop.ask(ask).await?;
    if allowed.contains(&answer.status) {
        Ok(())
    } else {
        anyhow::bail!("{ask}: {}: {}", answer.status, answer.body)
    }
}
