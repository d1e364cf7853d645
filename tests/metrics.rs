//! What nodes tell of themselves to those who watch them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use holdfast_node::terminal;
use serde_json::json;

use crate::harness::{Cluster, Person, Scrape, eventually, order, random_key};

async fn scrape(cluster: &Cluster, index: usize) -> Scrape {
    Scrape::of(&cluster.admin().http, &cluster.node(index).ops).await
}

async fn scrape_all(cluster: &Cluster) -> Vec<Scrape> {
    let mut scrapes = Vec::new();
    for index in 0..cluster.len() {
        scrapes.push(scrape(cluster, index).await);
    }
    scrapes
}

/// Adds up a metric over all nodes. All values that are compared are counts.
#[expect(clippy::cast_possible_truncation, reason = "counts are whole")]
fn total(scrapes: &[Scrape], name: &str, labels: &[(&str, &str)]) -> i64 {
    scrapes.iter().map(|scrape| scrape.sum(name, labels) as i64).sum()
}

/// Waits until no shard is on its way to another node, and every node has open what the map gives it.
///
/// Shards are handed over in portions, orders first: the three services of a shard are together again
/// once all of them have arrived.
async fn at_rest(cluster: &Cluster) -> Vec<Scrape> {
    eventually("no shard is on its way", || async {
        let map = cluster.store.map_load().await.ok()?;
        let mut owners_of: BTreeMap<u8, BTreeSet<_>> = BTreeMap::new();
        for row in &map.shards {
            owners_of.entry(row.shard.0).or_default().insert(row.owner);
        }
        let scrapes = scrape_all(cluster).await;
        let is_open = scrapes.iter().enumerate().all(|(index, scrape)| {
            let owner = Some(cluster.node(index).node.node_id());
            let given = map.shards.iter().filter(|row| row.owner == owner).count();
            let open = total(std::slice::from_ref(scrape), "holdfast_shards_owned", &[]);
            usize::try_from(open) == Ok(given)
        });
        let are_together = owners_of.values().all(|owners| owners.len() == 1);
        (is_open && are_together).then_some(scrapes)
    })
    .await
}

/// Buys, fails to buy and signs in, at the first node; returns the customer.
async fn trade(cluster: &Cluster) -> Person {
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 100).await;
    let buyer = cluster.sign_up("buyer").await;
    for (product, method) in products.iter().zip(["authorize", "card", "card"]) {
        let placed = buyer.orders(&[(product, 2)]).await.expect(201);
        let id = placed["id"].as_str().expect("an id").to_owned();
        buyer.pays(&id, method).await.expect(201);
    }
    // Of several owners; and sent twice, which must not count twice.
    let lines: Vec<(&str, u32)> = products.iter().map(|product| (product.as_str(), 1)).collect();
    let key = random_key();
    let placed = buyer.orders_with_key(&key, &lines).await.expect(201);
    buyer.orders_with_key(&key, &lines).await.expect(201);
    let id = placed["id"].as_str().expect("an id").to_owned();
    buyer.pays(&id, "decline").await.expect(402);
    buyer.orders(&[(&products[0], 1_000)]).await.expect(409);
    let mut dearer = order(&[(&products[0], 1)]);
    dearer["expected_total"] = json!({ "amount": 1, "currency": "EUR" });
    buyer.post("/v1/orders", dearer).await.expect(409);
    buyer.log_in("not the password").await.expect(401);
    buyer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_paid_and_refused_is_counted_once() {
    let cluster = Cluster::start(3).await;
    trade(&cluster).await;
    let scrapes = at_rest(&cluster).await;
    for (name, label, value, expected) in [
        ("holdfast_orders_total", "result", "placed", 4),
        ("holdfast_orders_total", "result", "insufficient_stock", 1),
        ("holdfast_orders_total", "result", "price_changed", 1),
        ("holdfast_orders_total", "result", "refused", 0),
        ("holdfast_order_events_total", "type", "order.placed", 4),
        ("holdfast_order_events_total", "type", "order.confirmed", 3),
        ("holdfast_payments_total", "result", "captured", 2),
        ("holdfast_payments_total", "result", "authorised", 1),
        ("holdfast_payments_total", "result", "declined", 1),
        ("holdfast_stock_units_total", "movement", "reserve", 9),
        ("holdfast_logins_total", "result", "invalid_credentials", 1),
        // The admin; the seller before and after the change of role; the buyer.
        ("holdfast_logins_total", "result", "succeeded", 4),
        ("holdfast_shards_owned", "service", "orders", 256),
        ("holdfast_shards_owned", "service", "products", 256),
    ] {
        assert_eq!(
            total(&scrapes, name, &[(label, value)]),
            expected,
            "{name} {value}"
        );
    }
    let sold = total(&scrapes, "holdfast_hot_product_units", &[]);
    assert_eq!(sold, 9, "what is hot is what was sold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_of_a_node_is_measured_and_every_node_apart() {
    let cluster = Cluster::start(3).await;
    trade(&cluster).await;
    let second = cluster.stranger(1);
    for _ in 0..7 {
        second.get("/livez").await.expect(200);
    }
    let scrapes = at_rest(&cluster).await;
    let livez = [("route", "/livez"), ("status", "2xx"), ("method", "GET")];
    let served: Vec<i64> = scrapes
        .iter()
        .map(|scrape| {
            total(
                std::slice::from_ref(scrape),
                "holdfast_http_requests_total",
                &livez,
            )
        })
        .collect();
    assert_eq!(served, [0, 7, 0]);
    for (index, scrape) in scrapes.iter().enumerate() {
        // What every node has seen something of, whoever was asked.
        for name in [
            "holdfast_heartbeats_total",
            "holdfast_lane_commit_duration_seconds_count",
            "holdfast_lane_batch_intents_sum",
            "holdfast_lane_wait_seconds_count",
            "holdfast_link_bytes_total",
            "holdfast_link_peers",
            "holdfast_entities",
            "holdfast_pool_acquires_total",
            "holdfast_pool_max_connections",
            "holdfast_runtime_workers",
            "holdfast_build_info",
            "holdfast_node_serving",
            "holdfast_cluster_map_version",
        ] {
            assert!(scrape.sum(name, &[]) > 0.0, "n{}: {name}", index + 1);
        }
        assert_eq!(total(std::slice::from_ref(scrape), "holdfast_link_peers", &[]), 2);
        assert_eq!(
            total(
                std::slice::from_ref(scrape),
                "holdfast_cluster_nodes",
                &[("state", "active")]
            ),
            3
        );
    }
    let first = &scrapes[0];
    for name in [
        "holdfast_http_request_duration_seconds_count",
        "holdfast_router_duration_seconds_sum",
        "holdfast_router_attempts_total",
        "holdfast_link_call_duration_seconds_count",
        "holdfast_takeovers_total",
    ] {
        assert!(first.sum(name, &[]) > 0.0, "{name}");
    }
    assert!(first.sum("holdfast_link_calls_total", &[("outcome", "answered")]) > 0.0);
    assert!(first.sum("holdfast_router_requests_total", &[("outcome", "refused")]) > 0.0);
    assert!(total(&scrapes, "holdfast_password_hash_duration_seconds_count", &[]) > 0);
    assert!(total(&scrapes, "holdfast_shards_handed_over_total", &[]) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_never_hold_ids_but_those_of_the_ten_best_sellers() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    for n in 1..=12 {
        let product = seller.lists("thing", 50).await;
        buyer.orders(&[(&product, n)]).await.expect(201);
        buyer.get(&format!("/v1/products/{product}?surprise={n}")).await;
        buyer.get(&format!("/v1/nowhere/{product}")).await.expect(404);
    }
    let scrape = scrape(&cluster, 0).await;
    let hot = scrape.values_of("holdfast_hot_product_units", "product");
    assert_eq!(hot.len(), 10);
    // 3 + 4 + ... + 12: the two that sold least are left out.
    assert_eq!(total(&[scrape], "holdfast_hot_product_units", &[]), 75);
    let scrape = Scrape::of(&buyer.http, &cluster.node(0).ops).await;
    for line in scrape.text.lines() {
        let is_hot = line.starts_with("holdfast_hot_product_units{");
        let has_id = line
            .split('"')
            .any(|value| value.parse::<uuid::Uuid>().is_ok() || value.contains("nowhere"));
        assert!(is_hot || !has_id, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_none_that_does_not_exist() {
    let cluster = Cluster::start(3).await;
    trade(&cluster).await;
    let told_by_one = || async {
        let scrapes = scrape_all(&cluster).await;
        let has_audited = total(&scrapes, "holdfast_stock_audit_timestamp_seconds", &[]) > 0;
        let counts = "holdfast_consumer_dead_letters";
        let has_counted = scrapes.iter().any(|scrape| scrape.families().contains(counts));
        (has_audited && has_counted).then_some(scrapes)
    };
    let scrapes = eventually("one node has looked through stock and consumers", told_by_one).await;
    let exported: BTreeSet<String> = scrapes.iter().flat_map(Scrape::families).collect();
    let page = include_str!("../docs/METRICS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').next())
        .filter(|name| cfg!(target_os = "linux") || !name.starts_with("process_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(exported, documented);
    for scrape in &scrapes {
        check_by_promtool(&scrape.text);
    }
}

/// Has Prometheus's own tool look for what it advises against.
fn check_by_promtool(text: &str) {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "promtool is required in CI");
        terminal::remark("skipped: promtool is not installed");
        return;
    };
    let mut stdin = tool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = tool.wait_with_output().expect("it ends");
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_shows_in_the_figures_of_the_others() {
    let mut cluster = Cluster::start(3).await;
    let before = at_rest(&cluster).await;
    assert_eq!(total(&before, "holdfast_nodes_declared_dead_total", &[]), 0);
    let claimed_before = total(&before[..2], "holdfast_shards_claimed_total", &[]);
    let orphans = total(&before[2..], "holdfast_shards_owned", &[]);
    assert!(orphans > 0);
    cluster.crash(2).await;
    cluster.settled().await;
    let after = eventually("the survivors own everything", || async {
        let after = scrape_all(&cluster).await;
        (total(&after, "holdfast_shards_owned", &[]) == 768).then_some(after)
    })
    .await;
    assert_eq!(total(&after, "holdfast_nodes_declared_dead_total", &[]), 1);
    let claimed = total(&after, "holdfast_shards_claimed_total", &[]) - claimed_before;
    assert_eq!(claimed, orphans);
    assert_eq!(total(&after, "holdfast_link_peers", &[]), 2, "one each");
    assert_eq!(total(&after, "holdfast_cluster_unowned_shards", &[]), 0);
    assert!(total(&after, "holdfast_takeover_duration_seconds_count", &[]) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_is_not_as_it_must_be_is_told_by_one_node() {
    let cluster = Cluster::start_tuned(2, |options| {
        options.stock_audit_interval = Duration::from_millis(100);
    })
    .await;
    let seller = cluster.seller("seller").await;
    seller.lists("mug", 5).await;
    let tells = |kind: &'static str, expected: i64| {
        let cluster = &cluster;
        move || async move {
            let scrapes = scrape_all(cluster).await;
            let tellers = scrapes
                .iter()
                .filter(|scrape| !scrape.values_of("holdfast_stock_breaches", "kind").is_empty());
            let is_told = tellers.count() == 1
                && total(&scrapes, "holdfast_stock_breaches", &[("kind", kind)]) == expected;
            is_told.then_some(())
        }
    };
    eventually("all is well", tells("oversold", 0)).await;
    // As a careless migration and a careless hand might.
    cluster
        .execute("ALTER TABLE stock DROP CONSTRAINT stock_is_not_oversold")
        .await;
    cluster.execute("UPDATE stock SET reserved = 6").await;
    eventually("oversold stock is told", tells("oversold", 1)).await;
    cluster.execute("UPDATE stock SET reserved = -1").await;
    eventually("negative stock is told", tells("negative", 1)).await;
    cluster.execute("UPDATE stock SET reserved = 0").await;
    eventually("all is well again", tells("negative", 0)).await;
}
