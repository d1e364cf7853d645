//! People who order without a pause, and what they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

use crate::harness::{Answer, Person, eventually, order, random_key};

/// Orders under way at each node.
const AT_EACH_NODE: usize = 2;
/// How long a shopper waits who was told to try again.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Keys that are asked about at a time.
const CHECKS_AT_ONCE: usize = 8;

/// One customer's orders, placed at several nodes at once until they are told to stop.
///
/// A refusal is tried again under its key; without any answer, a shopper gives up.
pub(super) struct Shoppers {
    placed: Arc<AtomicUsize>,
    slowest_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Ledger>,
}

/// What the shoppers were told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The order of each key.
    pub(super) acknowledged: BTreeMap<String, String>,
    /// Answers that were not an order, though the same key had one later.
    pub(super) refusals: Vec<String>,
    /// Keys without an answer, and why: there may be an order or not.
    pub(super) unanswered: BTreeMap<String, String>,
}

impl Shoppers {
    /// Lets them order one unit of each of the `products`.
    pub(super) fn start(customer: &Person, apis: &[String], products: &[String]) -> Self {
        let mut shoppers = Self {
            placed: Arc::default(),
            slowest_us: Arc::default(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        for api in apis.iter().cycle().take(apis.len() * AT_EACH_NODE) {
            let (placed, stop) = (Arc::clone(&shoppers.placed), Arc::clone(&shoppers.stop));
            let slowest_us = Arc::clone(&shoppers.slowest_us);
            let (customer, products) = (customer.at(api), products.to_vec());
            shoppers.tasks.spawn(async move {
                let mut ledger = Ledger::default();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    if !ledger.place_one(&customer, &products).await {
                        break;
                    }
                    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    slowest_us.fetch_max(took_us, Ordering::Relaxed);
                    placed.fetch_add(1, Ordering::Relaxed);
                }
                ledger
            });
        }
        shoppers
    }

    /// Waits until so many more orders are acknowledged.
    pub(super) async fn place(&self, more: usize) {
        let goal = self.placed.load(Ordering::Relaxed) + more;
        eventually("orders flow", || async {
            (self.placed.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Begins anew to look for the slowest order.
    pub(super) fn forget_the_slowest(&self) {
        self.slowest_us.store(0, Ordering::Relaxed);
    }

    /// Returns how long the slowest order took.
    pub(super) fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_us.load(Ordering::Relaxed))
    }

    /// Lets the orders under way finish; returns what all shoppers were told.
    pub(super) async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for ledger in self.tasks.join_all().await {
            all.append(ledger);
        }
        all
    }
}

impl Ledger {
    /// Adds what others were told.
    pub(super) fn append(&mut self, others: Self) {
        self.acknowledged.extend(others.acknowledged);
        self.refusals.extend(others.refusals);
        self.unanswered.extend(others.unanswered);
    }

    /// Places an order, however long it takes; tells whether the shop still answers.
    async fn place_one(&mut self, customer: &Person, products: &[String]) -> bool {
        let key = random_key();
        loop {
            match ask(customer, &key, products).await {
                Err(error) => {
                    self.unanswered.insert(key, error.to_string());
                    return false;
                }
                Ok(answer) => {
                    if let (201, Some(id)) = (answer.status.as_u16(), answer.body["id"].as_str()) {
                        self.acknowledged.insert(key, id.to_owned());
                        return true;
                    }
                    self.refusals.push(answer.verdict());
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
            }
        }
    }

    /// Asks again under every key, and compares with what the shop lists: every acknowledged order is
    /// there under its key, the other keys make one at most, and the customer has no others. Of each
    /// of the `products` there were `stock`.
    pub(super) async fn check(&self, customer: &Person, products: &[String], stock: i64) {
        let keys = self.acknowledged.keys().chain(self.unanswered.keys());
        let again = stream::iter(keys)
            .map(|key| async move { (key, ask(customer, key, products).await.expect("an answer")) })
            .buffer_unordered(CHECKS_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut orders = BTreeSet::new();
        for (key, answer) in again {
            let replayed = answer.header("idempotent-replayed") == Some("true");
            let id = answer.expect(201)["id"].as_str().expect("an id").to_owned();
            if let Some(first) = self.acknowledged.get(key) {
                assert!(replayed, "{key} made {id} a second time");
                assert_eq!(*first, id, "the order of {key} is lost");
            }
            assert!(orders.insert(id), "two keys made one order");
        }
        assert_eq!(orders_of(customer).await, orders);
        let sold = i64::try_from(orders.len()).expect("a small number");
        for product in products {
            eventually("the stock knows of every order", || async {
                (customer.stock_of(product).await == (stock, sold, stock - sold)).then_some(())
            })
            .await;
        }
    }
}

/// Orders one unit of each product.
pub(super) async fn ask(customer: &Person, key: &str, products: &[String]) -> Result<Answer, reqwest::Error> {
    let lines: Vec<(&str, u32)> = products.iter().map(|product| (product.as_str(), 1)).collect();
    customer
        .try_send(
            reqwest::Method::POST,
            "/v1/orders",
            &[("idempotency-key", key)],
            Some(order(&lines)),
        )
        .await
}

/// Lists all of a customer's orders.
async fn orders_of(customer: &Person) -> BTreeSet<String> {
    let mut orders = BTreeSet::new();
    let mut path = "/v1/orders?limit=200".to_owned();
    loop {
        let page = customer.get_now(&path).await.expect(200);
        let before = orders.len();
        let data = page["data"].as_array().expect("a list");
        orders.extend(
            data.iter()
                .filter_map(|order| Some(order["id"].as_str()?.to_owned())),
        );
        assert_eq!(orders.len(), before + data.len(), "an order is listed twice");
        let Some(cursor) = page["next_cursor"].as_str() else {
            return orders;
        };
        assert!(!data.is_empty(), "the list does not end");
        path = format!("/v1/orders?limit=200&cursor={cursor}");
    }
}
