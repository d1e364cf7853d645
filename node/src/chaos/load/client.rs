//! One client: what it does next, and what it remembers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::distr::Distribution;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::stage::Stage;
use super::{Clock, reading, retry};
use crate::chaos::check::REVOKED_WITHIN;
use crate::chaos::history::{Action, Attempt, Operation, Outcome, Row, Shown};
use crate::shop::{Answer, Ask, Shop};

/// The most units of one line.
const QUANTITY_MAX: u32 = 2;
/// How many placements are sent at two nodes at once.
const SENT_TWICE: f64 = 0.1;
/// Orders that a client goes on thinking of.
const REMEMBERED_MAX: usize = 50;

/// A customer at work, and now and then the seller by the same hand.
pub(super) struct Client {
    index: usize,
    shop: Shop,
    stage: Arc<Stage>,
    clock: Clock,
    rng: StdRng,
    history: Vec<Operation>,
    /// Orders that wait for payment, as far as this client knows.
    unpaid: Vec<Uuid>,
    /// All orders that it has placed, the last ones.
    orders: Vec<Uuid>,
    sessions: u64,
}

impl Client {
    pub(super) fn new(index: usize, shop: Shop, stage: Arc<Stage>, clock: Clock, rng: StdRng) -> Self {
        Self {
            index,
            shop,
            stage,
            clock,
            rng,
            history: Vec::new(),
            unpaid: Vec::new(),
            orders: Vec::new(),
            sessions: 0,
        }
    }

    /// Acts until `end`, pausing for about `pause` between operations. Returns
    /// what it has done.
    pub(super) async fn act(mut self, end: Duration, pause: Duration) -> Vec<Operation> {
        while self.clock.now() < end {
            let began = self.clock.now();
            self.do_something().await;
            let pause = pause.mul_f64(self.rng.random_range(0.5..1.5));
            let took = self.clock.now().saturating_sub(began);
            sleep(pause.saturating_sub(took)).await;
        }
        self.history
    }

    async fn do_something(&mut self) {
        match self.rng.random_range(0..100) {
            0..48 => self.place().await,
            48..58 => self.pay().await,
            58..63 => self.cancel().await,
            63..66 => self.edit_order().await,
            66..72 => self.adjust().await,
            72..75 => self.edit_product().await,
            75..81 => self.read_product().await,
            81..90 => self.read_stock().await,
            90..96 => self.read_order().await,
            96..98 => self.browse().await,
            _ => self.end_a_session().await,
        }
    }

    async fn place(&mut self) {
        let mut lines = BTreeMap::new();
        for _ in 0..self.rng.random_range(1..=3) {
            let product = self.a_product();
            *lines.entry(product).or_insert(0) += self.rng.random_range(1..=QUANTITY_MAX);
        }
        let key = Uuid::now_v7().to_string();
        let body = order_body(&self.stage, &lines);
        let action = Action::Place {
            key: key.clone(),
            lines,
        };
        let stage = Arc::clone(&self.stage);
        let ask = Ask::post("/v1/orders", &body).by(self.token(&stage)).under(&key);
        let outcome = if self.rng.random_bool(SENT_TWICE) {
            let again = Action::PlaceAgain { key: key.clone() };
            self.perform_twice(action, again, &ask).await
        } else {
            self.perform(action, &ask).await.0
        };
        if let Outcome::Done(Shown {
            order: Some(order), ..
        }) = outcome
        {
            self.unpaid.push(order);
            self.orders.push(order);
            if self.orders.len() > REMEMBERED_MAX {
                self.orders.remove(0);
            }
        }
    }

    async fn pay(&mut self) {
        let Some(order) = self.unpaid.pop() else {
            return self.place().await;
        };
        let body = json!({ "provider": "test", "method": "card" });
        self.move_order(Action::Pay { order }, order, "payments", &body)
            .await;
    }

    async fn cancel(&mut self) {
        let Some(order) = self.orders.choose(&mut self.rng).copied() else {
            return self.place().await;
        };
        self.orders.retain(|known| *known != order);
        self.unpaid.retain(|known| *known != order);
        let body = json!({ "reason": "changed my mind" });
        self.move_order(Action::Cancel { order }, order, "cancel", &body)
            .await;
    }

    async fn move_order(&mut self, action: Action, order: Uuid, verb: &str, body: &Value) {
        let key = Uuid::now_v7().to_string();
        let stage = Arc::clone(&self.stage);
        let ask = Ask::post(format!("/v1/orders/{order}/{verb}"), body)
            .by(self.token(&stage))
            .under(&key);
        self.perform(action, &ask).await;
    }

    async fn edit_order(&mut self) {
        let Some((order, version)) = self.look_at_an_order(true).await else {
            return;
        };
        let body = json!({ "note": format!("leave it at door {}", self.rng.random::<u64>()) });
        let stage = Arc::clone(&self.stage);
        let ask = Ask::patch(format!("/v1/orders/{order}"), version, &body).by(self.token(&stage));
        self.perform(Action::EditOrder { order }, &ask).await;
    }

    async fn read_order(&mut self) {
        let fresh = self.rng.random_bool(0.7);
        self.look_at_an_order(fresh).await;
    }

    async fn look_at_an_order(&mut self, fresh: bool) -> Option<(Uuid, i64)> {
        let Some(order) = self.orders.choose(&mut self.rng).copied() else {
            self.place().await;
            return None;
        };
        let stage = Arc::clone(&self.stage);
        let ask = Ask::get(format!("/v1/orders/{order}")).by(self.token(&stage));
        let ask = if fresh { ask } else { ask.however_old() };
        let (outcome, _) = self.perform(Action::ReadOrder { order, fresh }, &ask).await;
        version(&outcome).map(|version| (order, version))
    }

    async fn adjust(&mut self) {
        let product = self.a_product();
        // More comes in than goes out, so that what has sold out sells again.
        let delta = if self.rng.random_bool(0.8) {
            self.rng.random_range(1..=6)
        } else {
            -1
        };
        let body = json!({ "delta": delta, "reason": "counted" });
        let key = Uuid::now_v7().to_string();
        let stage = Arc::clone(&self.stage);
        let path = format!("/v1/products/{}/stock/adjustments", stage.products[product]);
        let ask = Ask::post(path, &body).by(&stage.seller.token).under(&key);
        self.perform(Action::Adjust { product }, &ask).await;
    }

    async fn edit_product(&mut self) {
        let product = self.a_product();
        let Some(version) = self.look_at(product, true).await else {
            return;
        };
        let body = json!({ "description": format!("edition {}", self.rng.random::<u64>()) });
        let stage = Arc::clone(&self.stage);
        let path = format!("/v1/products/{}", stage.products[product]);
        let ask = Ask::patch(path, version, &body).by(&stage.seller.token);
        let elsewhere = self.another_node();
        // Soon enough to be known there already, and to be cached.
        self.look_at_from(elsewhere, product, false).await;
        self.perform(Action::EditProduct { product }, &ask).await;
        self.look_at_from(elsewhere, product, true).await;
    }

    async fn read_product(&mut self) {
        let product = self.a_product();
        let fresh = self.rng.random_bool(0.5);
        self.look_at(product, fresh).await;
    }

    async fn look_at(&mut self, product: usize, fresh: bool) -> Option<i64> {
        self.look_at_from(self.home(), product, fresh).await
    }

    async fn look_at_from(&mut self, node: usize, product: usize, fresh: bool) -> Option<i64> {
        let path = format!("/v1/products/{}", self.stage.products[product]);
        let ask = Ask::get(path);
        let ask = if fresh { ask } else { ask.however_old() };
        let action = Action::ReadProduct { product, fresh };
        let (outcome, _) = self.perform_at(node, action, &ask).await;
        version(&outcome)
    }

    async fn read_stock(&mut self) {
        let product = self.a_product();
        let fresh = self.rng.random_bool(0.8);
        let path = format!("/v1/products/{}/stock", self.stage.products[product]);
        let ask = Ask::get(path);
        let ask = if fresh { ask } else { ask.however_old() };
        self.perform(Action::ReadStock { product, fresh }, &ask).await;
    }

    async fn browse(&mut self) {
        let ask = Ask::get("/v1/products?limit=20").however_old();
        self.perform(Action::Browse, &ask).await;
    }

    /// Signs in beside the session that goes on, signs out of that, and tries
    /// the ended session: where it was ended at once, elsewhere when the time
    /// in which all nodes have to know has passed.
    async fn end_a_session(&mut self) {
        let stage = Arc::clone(&self.stage);
        let login = &stage.customers[self.index].login;
        let (_, answer) = self
            .perform(Action::Login, &Ask::post("/v1/auth/login", login))
            .await;
        let Some(token) = answer.and_then(|answer| answer.promised("access_token").ok()) else {
            return;
        };
        self.sessions += 1;
        let session = u64::try_from(self.index).unwrap_or(u64::MAX) << 32 | self.sessions;
        let body = json!({});
        let logout = Ask::post("/v1/auth/logout", &body).by(&token);
        let (outcome, _) = self.perform(Action::Logout { session }, &logout).await;
        let ended_at = self.history.last().and_then(Operation::answered_by);
        let (Outcome::Done(_), Some(ended_at)) = (outcome, ended_at) else {
            return;
        };
        let me = Ask::get("/v1/me").by(&token);
        self.perform_at(ended_at, Action::UseEnded { session }, &me).await;
        sleep(REVOKED_WITHIN).await;
        let elsewhere = self.another_node();
        self.perform_at(elsewhere, Action::UseEnded { session }, &me)
            .await;
    }

    async fn perform(&mut self, action: Action, ask: &Ask<'_>) -> (Outcome, Option<Answer>) {
        self.perform_at(self.home(), action, ask).await
    }

    /// The node that this client asks first.
    fn home(&self) -> usize {
        self.index % self.shop.nodes()
    }

    /// A node that it does not; its own, if there is no other.
    fn another_node(&mut self) -> usize {
        let nodes = self.shop.nodes();
        if nodes == 1 {
            return 0;
        }
        (self.home() + self.rng.random_range(1..nodes)) % nodes
    }

    async fn perform_at(&mut self, node: usize, action: Action, ask: &Ask<'_>) -> (Outcome, Option<Answer>) {
        let began = self.clock.now();
        let (attempts, answer) = retry::ask(&self.shop, self.clock, &mut self.rng, node, ask).await;
        let outcome = self.note(action, attempts, began, self.clock.now(), answer.as_ref());
        (outcome, answer)
    }

    /// Asks at two nodes at once, as somebody does who clicks twice; returns
    /// what came of the first. They are two operations of the history.
    async fn perform_twice(&mut self, action: Action, again: Action, ask: &Ask<'_>) -> Outcome {
        let (home, elsewhere) = (self.home(), self.another_node());
        let (shop, clock) = (self.shop.clone(), self.clock);
        let mut rngs = [0; 2].map(|_| StdRng::from_rng(&mut self.rng));
        let [one, other] = &mut rngs;
        let asking = async |rng, node| {
            let (attempts, answer) = retry::ask(&shop, clock, rng, node, ask).await;
            (attempts, answer, clock.now())
        };
        let began = clock.now();
        let (first, second) = tokio::join!(asking(one, home), asking(other, elsewhere));
        let (attempts, answer, ended) = second;
        self.note(again, attempts, began, ended, answer.as_ref());
        let (attempts, answer, ended) = first;
        self.note(action, attempts, began, ended, answer.as_ref())
    }

    fn note(
        &mut self,
        action: Action,
        attempts: Vec<Attempt>,
        began: Duration,
        ended: Duration,
        answer: Option<&Answer>,
    ) -> Outcome {
        let outcome = reading::outcome(&self.stage, &action, answer);
        self.history.push(Operation {
            client: self.index,
            action,
            attempts,
            began,
            ended,
            outcome: outcome.clone(),
        });
        outcome
    }

    fn a_product(&mut self) -> usize {
        self.stage.demand.sample(&mut self.rng)
    }

    fn token<'a>(&self, stage: &'a Stage) -> &'a str {
        &stage.customers[self.index].token
    }
}

/// The body that orders `lines`.
pub(in crate::chaos) fn order_body(stage: &Stage, lines: &BTreeMap<usize, u32>) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(product, quantity)| json!({ "product_id": stage.products[*product], "quantity": quantity }))
        .collect();
    json!({ "lines": lines })
}

fn version(outcome: &Outcome) -> Option<i64> {
    match outcome {
        Outcome::Done(Shown {
            version: Some((Row::Order(_) | Row::Product(_), version)),
            ..
        }) => Some(*version),
        _ => None,
    }
}
