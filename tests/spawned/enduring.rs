//! What clients of the other nodes feel when an owner dies or stands still: latency, and no error.
//!
//! How much depends on the machine, and is shown; a bound is only what the router promises.

use std::time::Duration;

use holdfast_node::terminal;
use nix::sys::signal::Signal;

use super::{
    shoppers::{Ledger, Shoppers},
    visitors::Visitors,
};
use crate::harness::{
    Person, eventually,
    launched::{Launched, View},
};

const STOCK: u32 = 1_000_000;
/// What a request may take, all attempts together, and what the edge and a busy machine add.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// A cluster whose owners are hurt one after another.
struct Victims {
    up: Launched,
    admin: Person,
    customer: Person,
    visitor: Person,
    products: Vec<String>,
    /// What visitors order, and cancel.
    visited: String,
    told: Ledger,
    complaints: Vec<String>,
    /// The slowest answer of each time.
    slowest: Vec<Duration>,
}

impl Victims {
    async fn start() -> Self {
        let up = Launched::start().await;
        let admin = up.admin().await;
        let products = vec![admin.lists("mug", STOCK).await, admin.lists("bowl", STOCK).await];
        let visited = admin.lists("cup", STOCK).await;
        let customer = up.stranger(0).sign_up("customer").await;
        let visitor = up.stranger(0).sign_up("visitor").await;
        Self {
            up,
            admin,
            customer,
            visitor,
            products,
            visited,
            told: Ledger::default(),
            complaints: Vec::new(),
            slowest: Vec::new(),
        }
    }

    /// Sends the first product's owner a signal, under load at the others, and has it come back.
    async fn hurt(&mut self, signal: Signal) {
        let asker = self.admin.at(&self.up.nodes()[0].ops);
        let owner = self.up.owner_of_product(&asker, &self.products[0]).await;
        let others: Vec<_> = self
            .up
            .nodes()
            .into_iter()
            .filter(|node| node.name != owner.name)
            .collect();
        let asker = self.admin.at(&others[0].ops);
        let apis: Vec<String> = others.iter().map(|node| node.api.clone()).collect();
        let view = View::of(&asker).await;
        let before = view.incarnation_of(&owner.name).expect("it is active").to_owned();
        let shoppers = Shoppers::start(&self.customer, &apis, &self.products);
        let visitors = Visitors::start(&self.visitor, &apis, &self.visited);
        shoppers.place(30).await;
        shoppers.forget_the_slowest();
        owner.process.signal(signal);
        shoppers.place(30).await;
        self.slowest.push(shoppers.slowest());
        owner.process.signal(Signal::SIGCONT);
        eventually("it is back and owns shards again", || async {
            let view = View::of(&asker).await;
            let now = view.incarnation_of(&owner.name)?;
            (now != before && view.is_owner(now)).then_some(())
        })
        .await;
        self.told.append(shoppers.stop().await);
        self.complaints.extend(visitors.stop().await);
    }

    async fn end(mut self, what: &str) {
        self.slowest.sort_unstable();
        terminal::remark(format_args!(
            "the slowest answer after each {what}: {:?}",
            self.slowest
        ));
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
        assert!(
            self.told.refusals.is_empty() && self.told.unanswered.is_empty(),
            "clients of survivors saw {:?} {:?}",
            self.told.refusals,
            self.told.unanswered
        );
        assert!(
            self.slowest.iter().all(|slowest| *slowest < ANSWERED_WITHIN),
            "{:?}",
            self.slowest
        );
        self.told
            .check(&self.customer, &self.products, i64::from(STOCK))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_survivors_see_no_error_when_owners_are_killed() {
    let mut victims = Victims::start().await;
    for _ in 0..5 {
        victims.hurt(Signal::SIGKILL).await;
    }
    victims.end("kill").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_survivors_see_no_error_when_owners_stand_still() {
    let mut victims = Victims::start().await;
    for _ in 0..3 {
        victims.hurt(Signal::SIGSTOP).await;
    }
    victims.end("pause").await;
}
