//! Collecting what is stored, when the load is over, through the API that
//! everybody has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::check::{KeyNow, Kind, Movement};
use super::history::{Action, Operation};
use super::load::{Customer, Stage, id, level, order_body};
use crate::shop::{Ask, Shop};

/// Requests under way at a time.
const AT_ONCE: usize = 16;
/// Pages of 200 that a list may fill; far more than a run makes.
const PAGES_MAX: usize = 1_000;

/// What is stored.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) keys: BTreeMap<String, KeyNow>,
    pub(super) listed: BTreeMap<usize, BTreeSet<Uuid>>,
    pub(super) ledgers: Vec<Vec<Movement>>,
}

/// Asks for every order of the history again under its key, then reads all
/// orders and ledgers.
pub(super) async fn gather(shop: &Shop, stage: &Stage, history: &[Operation]) -> anyhow::Result<Stored> {
    let tokens = sign_in(shop, stage).await?;
    let keys = ask_again(shop, stage, &tokens, history).await?;
    let mut listed = BTreeMap::new();
    for (client, token) in tokens.iter().enumerate() {
        listed.insert(client, orders(shop, token).await?);
    }
    // Asking again under every key may have taken long, too.
    let seller = token(shop, &stage.seller).await?;
    let ledgers = stream::iter(&stage.products)
        .map(|product| ledger(shop, &seller, *product))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Stored {
        keys,
        listed,
        ledgers,
    })
}

/// Signs every customer in anew: a long load outlasts their tokens.
async fn sign_in(shop: &Shop, stage: &Stage) -> anyhow::Result<Vec<String>> {
    stream::iter(&stage.customers)
        .map(|customer| token(shop, customer))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn token(shop: &Shop, person: &Customer) -> anyhow::Result<String> {
    let answer = shop.ask(&Ask::post("/v1/auth/login", &person.login)).await?;
    answer.promised("access_token")
}

async fn ask_again(
    shop: &Shop,
    stage: &Stage,
    tokens: &[String],
    history: &[Operation],
) -> anyhow::Result<BTreeMap<String, KeyNow>> {
    let placements = history.iter().filter_map(|operation| match &operation.action {
        Action::Place { key, lines } => Some((operation.client, key, lines)),
        _ => None,
    });
    stream::iter(placements)
        .map(|(client, key, lines)| async move {
            let body = order_body(stage, lines);
            let ask = Ask::post("/v1/orders", &body).by(&tokens[client]).under(key);
            let answer = shop.ask(&ask).await?;
            let problem = answer
                .text("type")
                .and_then(|path| path.strip_prefix("/problems/"));
            let now = match (answer.status, id(&answer.body), problem) {
                (StatusCode::CREATED, Some(order), _) => KeyNow::Order(order),
                (StatusCode::CONFLICT, _, Some(problem)) => KeyNow::Refused(problem.to_owned()),
                (status, _, problem) => {
                    KeyNow::Unclear(format!("{} {}", status.as_u16(), problem.unwrap_or_default()))
                }
            };
            anyhow::Ok((key.clone(), now))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn orders(shop: &Shop, token: &str) -> anyhow::Result<BTreeSet<Uuid>> {
    let mut orders = BTreeSet::new();
    for order in pages(shop, "/v1/orders", token).await? {
        orders.insert(id(&order).context("an order without an id is listed")?);
    }
    Ok(orders)
}

async fn ledger(shop: &Shop, seller: &str, product: Uuid) -> anyhow::Result<Vec<Movement>> {
    let path = format!("/v1/products/{product}/stock/movements");
    let entries = pages(shop, &path, seller).await?;
    // The newest come first.
    let ledger: Option<Vec<Movement>> = entries.iter().rev().map(movement).collect();
    ledger.with_context(|| format!("an entry of the ledger of {product} is not as the contract has it"))
}

fn movement(body: &Value) -> Option<Movement> {
    let number = |field: &str| body.get(field)?.as_i64();
    Some(Movement {
        kind: match body.get("kind")?.as_str()? {
            "adjustment" => Kind::Adjustment,
            "reserve" => Kind::Reserve,
            _ => Kind::Other,
        },
        order: body
            .get("order_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok()),
        delta_on_hand: number("delta_on_hand")?,
        delta_reserved: number("delta_reserved")?,
        level: level(body)?,
    })
}

/// Reads a list to its end.
async fn pages(shop: &Shop, path: &str, token: &str) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let ask = Ask::get(format!("{path}?limit=200{cursor}")).by(token);
        let mut answer = shop.ask(&ask).await?;
        let Some(Value::Array(data)) = answer.body.get_mut("data").map(Value::take) else {
            bail!("{ask}: {}: {}", answer.status, answer.body);
        };
        all.extend(data);
        match answer.text("next_cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
    bail!("the list {path} does not end")
}
