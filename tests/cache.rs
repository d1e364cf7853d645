//! What edges keep: as fresh as it says, never staler than the bound, and passed over when asked to.
//!
//! In most of these the bound is a minute, which no test waits for: what is news on another node within
//! it was told by the owner.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use holdfast_actors::{
    NodeOptions,
    link::{Direction, FaultState},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Cluster, Person, eventually, product};

fn for_a_minute(options: &mut NodeOptions) {
    for_a_while(options, Duration::from_mins(1));
}

fn for_five_seconds(options: &mut NodeOptions) {
    for_a_while(options, Duration::from_secs(5));
}

fn for_a_while(options: &mut NodeOptions, max_age: Duration) {
    options.cache.max_age = max_age;
    // A node that is cut off here is not to be outvoted meanwhile.
    options.vote_after = Duration::from_mins(5);
}

/// Returns for how long an answer may have been out of date, in milliseconds.
#[track_caller]
fn staleness(answer: &Answer) -> u128 {
    let header = answer.header("x-staleness-ms").expect("every read says it");
    header.parse().expect("a number")
}

fn price(answer: &Answer) -> i64 {
    answer.body["price"]["amount"].as_i64().expect("a price")
}

async fn reprice(seller: &Person, path: &str, version: i64, amount: i64) {
    let body = json!({ "price": { "amount": amount, "currency": "EUR" } });
    seller.patch(path, version, body).await.expect(200);
}

/// Reads until the node answers from what it keeps.
async fn kept(reader: &Person, path: &str) -> Answer {
    eventually("the node keeps it", || async {
        let answer = reader.get(path).await;
        answer.clone().expect(200);
        (staleness(&answer) > 0).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_price_that_changes_on_one_node_is_told_to_the_others() {
    let cluster = Cluster::start_tuned(3, for_a_minute).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    let owner = cluster.owner_of_product(&mug).await;
    let (edge, editor) = ((owner + 1) % 3, (owner + 2) % 3);
    let reader = cluster.stranger(edge);
    let began = Instant::now();
    kept(&reader, &path).await;
    reprice(&seller.at(cluster.api(editor)), &path, 1, 5).await;
    eventually("the price is news on every node", || async {
        let answer = reader.get(&path).await;
        assert!(
            staleness(&answer) <= began.elapsed().as_millis() + 1,
            "{answer:?}"
        );
        (price(&answer) == 5).then_some(())
    })
    .await;
    let stats = cluster.node(edge).node.client().cache_stats();
    assert!(
        stats.products.hits > 0 && stats.products.invalidations > 0,
        "{stats:?}"
    );
    assert!(stats.heard > 0, "{stats:?}");
    eventually("the owner knows that the others know", || async {
        (cluster.node(owner).node.client().cache_stats().pushes >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_the_link_cut_what_is_kept_says_how_stale_it_is_and_reaches_its_bound() {
    let cluster = Cluster::start_tuned(2, for_five_seconds).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    let owner = cluster.owner_of_product(&mug).await;
    let edge = (owner + 1) % 2;
    let reader = cluster.stranger(edge);
    let faults = cluster.node(edge).node.link().faults();
    faults.set(None, Direction::Both, FaultState::Cut);
    kept(&reader, &path).await;
    reprice(&seller.at(cluster.api(owner)), &path, 1, 5).await;
    let acknowledged_at = Instant::now();
    let stale_answers = AtomicUsize::new(0);
    eventually("the bound is reached", || async {
        let out_of_date_for = acknowledged_at.elapsed().as_millis();
        let answer = reader.get(&path).await;
        if price(&answer) == 5 {
            return Some(());
        }
        stale_answers.fetch_add(1, Ordering::Relaxed);
        let told = staleness(&answer);
        assert!(told >= out_of_date_for, "{told} told, {out_of_date_for} true");
        assert!(told <= 5_000, "{told}");
        None
    })
    .await;
    assert!(stale_answers.into_inner() > 0, "nothing was kept");
    faults.set(None, Direction::Both, FaultState::Open);
    cluster.settled().await;
}

#[tokio::test]
async fn what_is_kept_is_passed_over_by_those_who_ask_for_better() {
    let cluster = Cluster::start_tuned(3, for_a_minute).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    let owner = cluster.owner_of_product(&mug).await;
    let readers = [1, 2].map(|step| cluster.stranger((owner + step) % 3));
    // Nobody hears of what the owner commits.
    let faults = cluster.node(owner).node.link().faults();
    faults.set(None, Direction::Both, FaultState::Cut);
    for reader in &readers {
        kept(reader, &path).await;
    }
    reprice(&seller.at(cluster.api(owner)), &path, 1, 5).await;
    for reader in &readers {
        assert_eq!(price(&reader.get(&path).await), 1_999, "what is kept");
    }
    let latest = readers[0].get_now(&path).await;
    assert_eq!((price(&latest), staleness(&latest)), (5, 0));
    let at_least = async |version: &str| {
        readers[1]
            .send(Method::GET, &path, &[("x-min-version", version)], None)
            .await
    };
    assert_eq!(price(&at_least("1").await), 1_999, "what is kept will do");
    let seen = at_least("2").await;
    assert_eq!((price(&seen), staleness(&seen)), (5, 0));
    // What was read past the cache is what it keeps from then on.
    for reader in &readers {
        assert_eq!(price(&reader.get(&path).await), 5);
    }
    faults.set(None, Direction::Both, FaultState::Open);
    cluster.settled().await;
}

#[tokio::test]
async fn a_node_shows_what_it_has_acknowledged() {
    let cluster = Cluster::start_tuned(2, for_a_minute).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 100).await;
    let path = format!("/v1/products/{mug}");
    let (stock, list) = (format!("{path}/stock"), "/v1/products?sort=name".to_owned());
    let owner = cluster.owner_of_product(&mug).await;
    // The node that owns it, and the one that does not.
    for (turn, node) in [(0, owner), (1, (owner + 1) % 2)] {
        let (seller, reader) = (seller.at(cluster.api(node)), cluster.stranger(node));
        for edit in 0..5 {
            let version = turn * 5 + edit + 1;
            kept(&reader, &path).await;
            kept(&reader, &list).await;
            reprice(&seller, &path, version, 10 + version).await;
            assert_eq!(price(&reader.get(&path).await), 10 + version);
            let page = reader.get(&list).await.expect(200);
            assert_eq!(page["data"][0]["price"]["amount"], 10 + version);
        }
        let buyer = cluster.sign_up("buyer").await.at(cluster.api(node));
        for units in 1..=3 {
            let before = kept(&reader, &stock).await.body;
            buyer.orders(&[(&mug, units)]).await.expect(201);
            let after = reader.get(&stock).await.expect(200);
            let sold = i64::from(units);
            assert_eq!(
                after["reserved"],
                before["reserved"].as_i64().expect("a count") + sold
            );
            let body = json!({ "delta": 7, "reason": "received" });
            seller
                .post(&format!("{stock}/adjustments"), body)
                .await
                .expect(201);
            let grown = reader.get(&stock).await.expect(200);
            assert_eq!(grown["on_hand"], after["on_hand"].as_i64().expect("a count") + 7);
        }
    }
}

#[tokio::test]
async fn what_is_archived_on_one_node_is_gone_on_the_others() {
    let cluster = Cluster::start_tuned(3, for_a_minute).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    for node in 0..3 {
        kept(&cluster.stranger(node), &path).await;
        kept(&cluster.stranger(node), "/v1/products").await;
    }
    let headers = [("if-match", "\"1\"")];
    let answer = seller.send(Method::DELETE, &path, &headers, None).await;
    answer.expect(204);
    for node in 0..3 {
        let reader = cluster.stranger(node);
        eventually("it is gone", || async {
            let page = reader.get("/v1/products").await.expect(200);
            let is_gone = reader.get(&path).await.status == 404 && page["data"] == json!([]);
            is_gone.then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_sees_through_a_cache_what_is_not_for_them() {
    let cluster = Cluster::start_tuned(2, for_a_minute).await;
    let (seller, rival) = (cluster.seller("seller").await, cluster.seller("rival").await);
    let customer = cluster.sign_up("customer").await;
    let mut body = product("mug", 1);
    body["status"] = json!("draft");
    let draft = seller.post("/v1/products", body).await.expect(201);
    let path = format!("/v1/products/{}", draft["id"].as_str().expect("an id"));
    let list = "/v1/products?q=mug";
    let ids = |page: Value| page["data"].as_array().expect("a list").len();
    for node in [0, 1] {
        let api = cluster.api(node);
        // Whoever may see it asks first, so that it would be there to be seen.
        for _ in 0..2 {
            seller.at(api).get(&path).await.expect(200);
            seller.at(api).get_now(&path).await.expect(200);
            assert_eq!(ids(seller.at(api).get(list).await.expect(200)), 1);
            assert_eq!(ids(cluster.admin().at(api).get(list).await.expect(200)), 1);
            for other in [&rival.at(api), &customer.at(api), &cluster.stranger(node)] {
                other.get(&path).await.problem(404, "not-found");
                assert_eq!(ids(other.get(list).await.expect(200)), 0);
            }
        }
        let own = seller.at(api).get(list).await;
        assert_eq!(staleness(&own), 0, "sellers pass the cache by");
    }
}

#[tokio::test]
async fn pages_of_lists_are_kept_until_the_catalogue_changes_anywhere() {
    let cluster = Cluster::start_tuned(2, for_a_minute).await;
    let seller = cluster.seller("seller").await;
    seller.lists("mug", 1).await;
    let reader = cluster.stranger(1);
    kept(&reader, "/v1/products?sort=name").await;
    let latest = reader.get_now("/v1/products?sort=name").await;
    assert_eq!(staleness(&latest), 0);
    seller.lists("hat", 1).await;
    eventually("the hat is listed", || async {
        let page = reader.get("/v1/products?sort=name").await.expect(200);
        (page["data"][0]["name"] == "hat").then_some(())
    })
    .await;
    let stats = cluster.node(1).node.client().cache_stats();
    assert!(stats.lists.hits > 0 && stats.lists.entries > 0, "{stats:?}");
}
