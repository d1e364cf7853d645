//! What is possible on this machine: orders over HTTP, durable before they are
//! answered, with as little around them as there can be. One process, one owner
//! of all stock that commits in groups, narrow rows, tokens that are looked up.
//! No cluster, no idempotency, nobody who could take over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::bail;
use holdfast_store::Store;
use holdfast_store::measure::{BoundConnection, BoundGroup};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::contender::{Cluster, connect, load, new_database};
use super::meter::{Processes, Spent};
use super::report::{Cell, Measurement};
use super::server::Server;
use super::stage::Stage;
use super::work::{Demand, Orders};
use super::{BenchOptions, WorkKind};
use crate::postgres::Postgres;

/// Orders in one commit, and orders that wait for the next.
const BATCH_MAX: usize = 1_024;
const WAITING_MAX: usize = 8_192;
const BODY_MAX: usize = 16_384;
const STOCK: i64 = 1_000_000_000;
const PRICE_MINOR: i64 = 1_999;

/// The smallest server that keeps the promise.
pub(super) struct Bound {
    server: Server,
    stage: Stage,
    postgres: u32,
    /// Whether its owner has ended, which it only does in failure.
    ended: Arc<AtomicBool>,
    store: Store,
}

#[derive(Deserialize)]
struct Body {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    product_id: Uuid,
    quantity: i32,
}

/// An order that waits for its commit.
struct Placing {
    lines: Vec<Line>,
    /// Told the order's id; nothing, if there were too few units.
    placed: oneshot::Sender<Option<Uuid>>,
}

impl Bound {
    /// Serves the products and the customers of `cluster`.
    pub(super) async fn new(cluster: &Cluster, postgres: &Postgres) -> anyhow::Result<Self> {
        let stage = cluster.stage().clone();
        let url = new_database(postgres, "bound").await?;
        let store = connect(&url).await?;
        let (orders, waiting) = mpsc::channel(WAITING_MAX);
        let tokens = stage.tokens.iter().map(|token| format!("Bearer {token}"));
        let tokens: Arc<HashSet<String>> = Arc::new(tokens.collect());
        let server = Server::start(move |request| {
            let (tokens, orders) = (Arc::clone(&tokens), orders.clone());
            async move { place(request, &tokens, &orders).await }
        })
        .await?;
        let ended = Arc::new(AtomicBool::new(false));
        let left = stage.products.iter().map(|product| (*product, STOCK)).collect();
        server.spawn({
            let ended = Arc::clone(&ended);
            async move {
                if let Err(error) = own(url, left, waiting).await {
                    tracing::error!(error = &*error, "the bound has ended");
                }
                ended.store(true, Relaxed);
            }
        });
        Ok(Self {
            server,
            stage,
            postgres: postgres.pid(),
            ended,
            store,
        })
    }

    pub(super) const fn name() -> &'static str {
        "bound"
    }

    pub(super) fn suits(cell: &Cell) -> bool {
        cell.work == WorkKind::Orders
    }

    /// Measures one cell once.
    pub(super) async fn measure(
        &self,
        options: &BenchOptions,
        cell: &Cell,
        round: usize,
    ) -> anyhow::Result<Measurement> {
        let processes = Processes {
            servers: Vec::new(),
            postgres: Some(self.postgres),
            generators: vec![std::process::id()],
        };
        let (mut before, mut after) = (Spent::default(), Spent::default());
        let log_before = self.store.log_position().await?;
        let demand = Demand::new(&self.stage.products, cell.spread)?;
        let work = Orders::new(&self.stage, demand, cell.lines);
        let tally = load(options, cell, vec![self.server.address])
            .run(
                Arc::new(work),
                || before = processes.spent(),
                || after = processes.spent(),
            )
            .await?;
        if self.ended.load(Relaxed) {
            bail!("the bound could not commit");
        }
        let log_bytes = self.store.log_position().await? - log_before;
        Ok(Measurement::new(
            Self::name(),
            *cell,
            round,
            &tally,
            &after.since(&before),
            log_bytes,
            options.counted_share(),
        ))
    }
}

async fn place(
    request: Request<Incoming>,
    tokens: &HashSet<String>,
    orders: &mpsc::Sender<Placing>,
) -> Response<Full<Bytes>> {
    let failed = |status: StatusCode| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    };
    let bearer = request.headers().get(AUTHORIZATION);
    if !bearer
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| tokens.contains(value))
    {
        return failed(StatusCode::UNAUTHORIZED);
    }
    let Ok(body) = Limited::new(request.into_body(), BODY_MAX).collect().await else {
        return failed(StatusCode::BAD_REQUEST);
    };
    let Ok(Body { lines }) = serde_json::from_slice(&body.to_bytes()) else {
        return failed(StatusCode::BAD_REQUEST);
    };
    let (placed, id) = oneshot::channel();
    if orders.try_send(Placing { lines, placed }).is_err() {
        return failed(StatusCode::SERVICE_UNAVAILABLE);
    }
    match id.await {
        Ok(Some(id)) => {
            let text = format!(r#"{{"id":"{id}","status":"pending_payment"}}"#);
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Ok(None) => failed(StatusCode::CONFLICT),
        Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Decides in memory, and commits what came while the last commit ran.
async fn own(
    url: String,
    mut left: HashMap<Uuid, i64>,
    mut waiting: mpsc::Receiver<Placing>,
) -> anyhow::Result<()> {
    let products: Vec<Uuid> = left.keys().copied().collect();
    let mut connection = BoundConnection::make(&url, &products, STOCK).await?;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut group = BoundGroup::default();
        let mut placed = Vec::with_capacity(batch.len());
        for Placing { lines, placed: told } in batch.drain(..) {
            if !take(&mut left, &lines) {
                let _ = told.send(None);
                continue;
            }
            let id = Uuid::now_v7();
            let units: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
            let lines = lines.iter().map(|line| (line.product_id, line.quantity));
            group.add(id, PRICE_MINOR * units, lines);
            placed.push((told, id));
        }
        if placed.is_empty() {
            continue;
        }
        // A group that fails leaves its orders unanswered, and they count as failed.
        connection.commit(group).await?;
        for (told, id) in placed {
            let _ = told.send(Some(id));
        }
    }
    Ok(())
}

/// Takes the units of all lines, or of none.
fn take(left: &mut HashMap<Uuid, i64>, lines: &[Line]) -> bool {
    let is_there = |line: &Line| {
        let units = left.get(&line.product_id).copied().unwrap_or_default();
        (1..=units).contains(&i64::from(line.quantity))
    };
    if lines.is_empty() || !lines.iter().all(is_there) {
        return false;
    }
    for line in lines {
        if let Some(left) = left.get_mut(&line.product_id) {
            *left -= i64::from(line.quantity);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_all_lines_are_taken_or_of_none() {
        let (plenty, scarce) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut left = HashMap::from([(plenty, 10), (scarce, 1)]);
        let line = |product_id, quantity| Line { product_id, quantity };
        assert!(!take(&mut left, &[line(plenty, 1), line(scarce, 2)]));
        assert!(!take(&mut left, &[line(plenty, 0)]));
        assert!(!take(&mut left, &[line(Uuid::from_u128(3), 1)]));
        assert!(!take(&mut left, &[]));
        assert!(take(&mut left, &[line(plenty, 3), line(scarce, 1)]));
        assert_eq!((left[&plenty], left[&scarce]), (7, 0));
    }
}
