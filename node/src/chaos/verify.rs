//! Nothing lost, nothing doubled.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use reqwest::StatusCode;

use super::ledger::{Asked, Ledger};
use super::shopper::Stage;
use crate::shop::{Ask, Shop};

/// Pages of 200 that a customer's orders may fill; far more than a run makes.
const PAGES_MAX: usize = 1_000;
/// The most breaches that are told; one is enough to fail.
const BREACHES_MAX: usize = 20;

/// Asks for every order again under its key, then compares with what the shop
/// lists. Returns what is wrong, in words.
pub(super) async fn every_order_exists_once(shop: &Shop, stage: &Stage, ledger: &Ledger) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut expected: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for asked in ledger.asked() {
        if breaches.len() >= BREACHES_MAX {
            return breaches;
        }
        match ask_again(shop, stage, &asked).await {
            Ok(Some(order)) => {
                expected.entry(asked.customer).or_default().insert(order);
            }
            Ok(None) => {}
            Err(error) => breaches.push(format!("{error:#}")),
        }
    }
    for (index, customer) in stage.customers.iter().enumerate() {
        let expected = expected.remove(&index).unwrap_or_default();
        match listed(shop, &customer.token).await {
            Ok(listed) if listed == expected => {}
            Ok(listed) => {
                let lost = expected.difference(&listed).count();
                let doubled = listed.difference(&expected).count();
                breaches.push(format!(
                    "customer {index}: {lost} orders are not listed, {doubled} are that nobody's key names"
                ));
            }
            Err(error) => breaches.push(format!("customer {index}: {error:#}")),
        }
    }
    breaches
}

/// Repeats a request under its key; the answer must be the first one again.
async fn ask_again(shop: &Shop, stage: &Stage, asked: &Asked) -> anyhow::Result<Option<String>> {
    let token = &stage.customers[asked.customer].token;
    let ask = Ask::post("/v1/orders", &asked.body).by(token).under(&asked.key);
    let answer = shop.ask(&ask).await?;
    match (&asked.order, answer.status) {
        (Some(first), StatusCode::CREATED) if answer.text("id") != Some(first) => bail!(
            "key {} made order {first} and then {}",
            asked.key,
            answer.text("id").unwrap_or("one without an id")
        ),
        (_, StatusCode::CREATED) => answer.promised("id").map(Some),
        (Some(first), status) => bail!(
            "order {first} was acknowledged under key {}, and now the key says {status}",
            asked.key
        ),
        (None, StatusCode::CONFLICT) => Ok(None),
        (None, status) => bail!("key {} says {status}: {}", asked.key, answer.body),
    }
}

/// Lists all of a customer's orders.
async fn listed(shop: &Shop, token: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut orders = BTreeSet::new();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let path = format!("/v1/orders?limit=200{cursor}");
        let answer = shop.ask(&Ask::get(path).by(token)).await?;
        let Some(data) = answer.body.get("data").and_then(|data| data.as_array()) else {
            bail!("listing orders: {}: {}", answer.status, answer.body);
        };
        for order in data {
            if let Some(id) = order.get("id").and_then(|id| id.as_str()) {
                orders.insert(id.to_owned());
            }
        }
        match answer.text("next_cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(orders),
        }
    }
    bail!("the list of orders does not end")
}
