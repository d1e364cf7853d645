//! An order over three owners, one of whom may be stopped at a fault point and die there.

use std::time::Duration;

use holdfast_actors::{FaultPoint, Held, NodeOptions};
use holdfast_store::Service;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};

use crate::harness::{Answer, Cluster, Person, eventually, random_key};

/// How long the work of an order may take to get to a fault point.
const REACH_LIMIT: Duration = Duration::from_secs(10);
/// Units of each product that there are.
const STOCK: i64 = 5;
/// Units of each product that are ordered.
pub(super) const UNITS: u32 = 2;
/// What is left of a product that is short.
const SHORT: i64 = 1;

/// Who is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The order's home.
    Home,
    /// The owner of the product that is short, if one is, and not the home.
    Owner,
}

/// What an order has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is placed, and every product has reserved.
    Placed,
    /// It is refused, since one product is short, and no product has reserved.
    Refused,
}

/// A buyer, and products of three nodes that they want in one order.
pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) seller: Person,
    pub(super) buyer: Person,
    pub(super) products: Vec<String>,
    pub(super) key: String,
    home: String,
    owner: String,
    end: End,
}

impl Scene {
    /// Sets a scene that leads to `end`.
    pub(super) async fn set(end: End) -> Self {
        Self::set_tuned(end, |_| {}).await
    }

    /// Sets a scene on nodes whose options were tuned.
    pub(super) async fn set_tuned(end: End, tune: impl Fn(&mut NodeOptions) + Send + Sync + 'static) -> Self {
        let cluster = Cluster::start_tuned(3, tune).await;
        let seller = cluster.seller("seller").await;
        let stock = u32::try_from(STOCK).expect("a few");
        let products = cluster.products_of_all_nodes(&seller, stock).await;
        let buyer = cluster.sign_up("buyer").await;
        let lowest = products.iter().min().expect("three");
        let home = cluster.owner_of(Service::Orders, lowest).await;
        let owner = (home + 1) % 3;
        if end == End::Refused {
            let path = format!("/v1/products/{}/stock/adjustments", products[owner]);
            let lost = json!({ "delta": SHORT - STOCK, "reason": "lost" });
            seller.post(&path, lost).await.expect(201);
        }
        let name = |index: usize| cluster.node(index).name.clone();
        Self {
            home: name(home),
            owner: name(owner),
            key: random_key(),
            cluster,
            seller,
            buyer,
            products,
            end,
        }
    }

    /// Returns the index of the node that somebody is.
    pub(super) fn index(&self, whose: Whose) -> usize {
        let name = match whose {
            Whose::Home => &self.home,
            Whose::Owner => &self.owner,
        };
        let mut nodes = 0..self.cluster.len();
        let index = nodes.find(|index| self.cluster.node(*index).name == *name);
        index.expect("it lives")
    }

    /// Returns the product that belongs to the owner, and is short if one is.
    pub(super) fn owners_product(&self) -> &str {
        &self.products[self.owner_at_start()]
    }

    fn owner_at_start(&self) -> usize {
        // Nodes are named by their places, from 1.
        self.owner[1..].parse::<usize>().expect("a number") - 1
    }

    /// Arms a fault point.
    pub(super) fn hold(&self, whose: Whose, point: FaultPoint) -> Held {
        let node = &self.cluster.node(self.index(whose)).node;
        node.fault_points().hold(point)
    }

    /// Asks for the order at a node, in the background.
    pub(super) fn orders_at(&self, index: usize) -> JoinHandle<Option<Answer>> {
        self.asks_at(index, "/v1/orders", self.body())
    }

    /// Asks for something under the scene's key at a node, in the background; nobody may answer.
    pub(super) fn asks_at(&self, index: usize, path: &str, body: Value) -> JoinHandle<Option<Answer>> {
        let buyer = self.buyer.at(self.cluster.api(index));
        let (path, key) = (path.to_owned(), self.key.clone());
        tokio::spawn(async move {
            let headers = [("idempotency-key", key.as_str())];
            let sent = buyer.try_send(reqwest::Method::POST, &path, &headers, Some(body));
            sent.await.ok()
        })
    }

    /// The body of the order.
    pub(super) fn body(&self) -> Value {
        let lines: Vec<(&str, u32)> = self.products.iter().map(|id| (id.as_str(), UNITS)).collect();
        crate::harness::order(&lines)
    }

    /// Ends somebody's node as the death of its process would.
    pub(super) async fn crash(&mut self, whose: Whose) {
        self.crash_node(self.index(whose)).await;
    }

    /// Ends a node as the death of its process would.
    pub(super) async fn crash_node(&mut self, index: usize) {
        self.cluster.crash(index).await;
        self.buyer = self.buyer.at(self.cluster.api(0));
        self.seller = self.seller.at(self.cluster.api(0));
    }

    /// Expects of an answer what the order has to come to; returns the order's id, if it is placed.
    #[track_caller]
    pub(super) fn expect(&self, answer: Answer) -> Option<String> {
        match self.end {
            End::Placed => answer.expect(201)["id"].as_str().map(str::to_owned),
            End::Refused => {
                let problem = answer.problem(409, "insufficient-stock");
                let short = json!([{
                    "product_id": self.owners_product(), "requested": UNITS, "available": SHORT,
                }]);
                assert_eq!(problem["lines"], short);
                None
            }
        }
    }

    /// Checks that the order has come to its end, once, and that nothing of it is left to do.
    pub(super) async fn is_over(&self) {
        self.nothing_is_left_to_do().await;
        let is_placed = self.end == End::Placed;
        for node in 0..self.cluster.len() {
            let again = answered(self.orders_at(node)).await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{again:?}");
            self.expect(again);
        }
        let orders = self.cluster.count("SELECT count(*) FROM orders").await;
        let placed = "SELECT count(*) FROM event WHERE kind = 'order.placed'";
        let placed = self.cluster.count(placed).await;
        assert_eq!((orders, placed), (1, i64::from(is_placed)));
        let reserved = if is_placed { i64::from(UNITS) } else { 0 };
        for (index, product) in self.products.iter().enumerate() {
            let is_short = self.end == End::Refused && index == self.owner_at_start();
            let stock = if is_short { SHORT } else { STOCK };
            let expected = (stock, reserved, stock - reserved);
            assert_eq!(self.buyer.stock_of(product).await, expected);
        }
        self.no_movement_is_made_twice().await;
    }

    /// Waits until no order is on its way, and none has something to tell its products.
    pub(super) async fn nothing_is_left_to_do(&self) {
        let unfinished = "SELECT count(*) FROM orders WHERE state = 'placing' OR unsettled";
        eventually("nothing is left to do", || async {
            (self.cluster.count(unfinished).await == 0).then_some(())
        })
        .await;
    }

    /// Checks that no product keeps any units for an order, and that they were given back once.
    pub(super) async fn has_given_all_back(&self) {
        for product in &self.products {
            assert_eq!(self.buyer.stock_of(product).await, (STOCK, 0, STOCK));
        }
        self.no_movement_is_made_twice().await;
    }

    /// Checks that the ledger has each kind of movement of an order once at most.
    pub(super) async fn no_movement_is_made_twice(&self) {
        let twice = "SELECT count(*) FROM (
            SELECT FROM stock_movement WHERE order_id IS NOT NULL
            GROUP BY product_id, order_id, kind HAVING count(*) > 1) AS twice";
        assert_eq!(self.cluster.count(twice).await, 0);
    }

    /// Checks that the order goes on as any other: it is paid, if there is one.
    pub(super) async fn goes_on(&self, order: Option<&str>) {
        if let Some(order) = order {
            self.buyer.pays(order, "card").await.expect(201);
        } else {
            let free: Vec<(&str, u32)> = self.products.iter().map(|id| (id.as_str(), 1)).collect();
            self.buyer.orders(&free).await.expect(201);
        }
    }
}

/// Waits for an answer that must come.
pub(super) async fn answered(asked: JoinHandle<Option<Answer>>) -> Answer {
    asked.await.expect("no panic").expect("an answer")
}

/// Waits until some work stands still.
pub(super) async fn reached(held: &mut Held, point: FaultPoint) {
    let reached = timeout(REACH_LIMIT, held.reached()).await;
    assert_eq!(reached, Ok(true), "{point:?} was not reached");
}
