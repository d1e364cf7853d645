//! Events, as those hear of them who listen.

mod nats;
mod relay;

use serde_json::{Value, json};

use crate::harness::{Cluster, Listener, eventually};

fn subject(event: &Value) -> &str {
    event["subject"].as_str().expect("a subject")
}

fn version(event: &Value) -> i64 {
    let sequence = event["sequence"].as_str().expect("a sequence");
    sequence.parse().expect("a number")
}

#[tokio::test]
async fn an_order_placed_on_one_node_is_heard_of_on_another() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let stranger = cluster.sign_up("stranger").await;
    let mug = seller.lists("mug", 10).await;
    let elsewhere = cluster.api(1);
    let mut heard = Vec::new();
    for person in [&buyer, &seller, cluster.admin()] {
        heard.push(Listener::begin(&person.at(elsewhere), None).await);
    }
    let mut unconcerned = Listener::begin(&stranger.at(elsewhere), None).await;
    let placed = buyer.orders(&[(&mug, 1)]).await.expect(201);
    for listener in &mut heard {
        let event = listener.next().await.expect("an event");
        assert_eq!(event["type"], "dev.holdfast.order.placed.v1");
        assert_eq!(event["source"], "/v1/orders");
        assert_eq!(event["subject"], placed["id"]);
        assert_eq!(version(&event), 1);
        assert_eq!(event["actorid"], buyer.id);
        assert_eq!(event["data"]["order"]["lines"][0]["product_id"], mug);
    }
    // What is for others does not come; what is one's own does.
    let own = stranger.orders(&[(&mug, 1)]).await.expect(201);
    let first = unconcerned.next().await.expect("an event");
    assert_eq!(first["subject"], own["id"]);
}

#[tokio::test]
async fn a_seller_hears_of_own_lines_only() {
    let cluster = Cluster::start(2).await;
    let (potter, weaver) = (cluster.seller("potter").await, cluster.seller("weaver").await);
    let buyer = cluster.sign_up("buyer").await;
    let mug = potter.lists("mug", 10).await;
    let rug = weaver.lists("rug", 10).await;
    let mut potters = Listener::begin(&potter.at(cluster.api(1)), None).await;
    let placed = buyer.orders(&[(&mug, 1), (&rug, 2)]).await.expect(201);
    let id = placed["id"].as_str().expect("an id");
    buyer.pays(id, "card").await.expect(201);
    let event = potters.next().await.expect("an event");
    assert_eq!(subject(&event), id);
    let lines = event["data"]["order"]["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 1, "{event:#}");
    assert_eq!(lines[0]["product_id"], mug);
    let event = potters.next().await.expect("an event");
    assert!(event["data"].get("payment").is_none(), "{event:#}");
    // A price is no secret, but who may edit a product hears of the edit.
    weaver
        .patch(&format!("/v1/products/{rug}"), 1, json!({ "name": "a rug" }))
        .await
        .expect(200);
    potter
        .patch(&format!("/v1/products/{mug}"), 1, json!({ "name": "a mug" }))
        .await
        .expect(200);
    loop {
        let event = potters.next().await.expect("an event");
        assert_ne!(subject(&event), rug);
        if event["type"] == "dev.holdfast.product.updated.v1" {
            assert_eq!(subject(&event), mug);
            break;
        }
    }
}

#[tokio::test]
async fn who_resumes_misses_nothing_and_hears_nothing_twice() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 100).await;
    let mut orders = Vec::new();
    let mut listener = Listener::begin(&buyer, None).await;
    let mut heard = Vec::new();
    for round in 0..6 {
        for _ in 0..4 {
            let placed = buyer.orders(&[(&mug, 1)]).await.expect(201);
            orders.push(placed["id"].as_str().expect("an id").to_owned());
        }
        for _ in 0..3 {
            heard.push(subject(&listener.next().await.expect("an event")).to_owned());
        }
        // One is always left behind; the next stream is at the other node.
        let last = listener.last_id().to_owned();
        listener = Listener::begin(&buyer.at(cluster.api(round)), Some(&last)).await;
    }
    while heard.len() < orders.len() {
        heard.push(subject(&listener.next().await.expect("an event")).to_owned());
    }
    orders.sort_unstable();
    heard.sort_unstable();
    assert_eq!(heard, orders);
}

#[tokio::test]
async fn events_of_one_order_come_in_the_order_of_its_versions() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 100).await;
    let mut listener = Listener::begin(&buyer.at(cluster.api(2)), None).await;
    let work = (0..8).map(async |n| {
        let buyer = buyer.at(cluster.api(n));
        let placed = buyer.orders(&[(&mug, 1)]).await.expect(201);
        let id = placed["id"].as_str().expect("an id").to_owned();
        buyer.pays(&id, "card").await.expect(201);
        let cancel = format!("/v1/orders/{id}/cancel");
        buyer
            .post(&cancel, json!({ "reason": "a test" }))
            .await
            .expect(200);
        id
    });
    let ids = futures_util::future::join_all(work).await;
    let mut seen = std::collections::HashMap::<String, i64>::new();
    // Placed, captured, confirmed, cancelled, refunded.
    while ids.iter().any(|id| seen.get(id) != Some(&5)) {
        let event = listener.next().await.expect("an event");
        let before = seen.insert(subject(&event).to_owned(), version(&event));
        assert_eq!(version(&event), before.unwrap_or(0) + 1, "{event:#}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let cluster = Cluster::start(2).await;
    let buyer = cluster.sign_up("buyer").await;
    let mut listener = Listener::begin(&buyer.at(cluster.api(1)), None).await;
    buyer.post("/v1/auth/logout", Value::Null).await.expect(204);
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn a_node_that_stops_ends_its_streams_and_another_one_goes_on() {
    let mut cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await.at(cluster.api(1));
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 10).await;
    let mut listener = Listener::begin(&buyer, None).await;
    buyer.orders(&[(&mug, 1)]).await.expect(201);
    listener.next().await.expect("an event");
    let last = listener.last_id().to_owned();
    let buyer = buyer.at(cluster.api(1));
    cluster.stop(0).await;
    assert_eq!(listener.next().await, None);
    let placed = buyer.orders(&[(&mug, 1)]).await.expect(201);
    let mut listener = Listener::begin(&buyer, Some(&last)).await;
    let event = listener.next().await.expect("an event");
    assert_eq!(event["subject"], placed["id"]);
}

#[tokio::test]
async fn a_stream_is_for_those_who_are_signed_in_and_resumes_from_own_ids_only() {
    let cluster = Cluster::start(1).await;
    cluster
        .stranger(0)
        .get("/v1/events")
        .await
        .problem(401, "unauthenticated");
    let buyer = cluster.sign_up("buyer").await;
    let resume = async |id: &str| {
        buyer
            .send(reqwest::Method::GET, "/v1/events", &[("last-event-id", id)], None)
            .await
    };
    resume("nonsense").await.problem(400, "invalid-cursor");
    // `1:18446744073709551615`: a transaction that this shop has not come to.
    resume("MToxODQ0Njc0NDA3MzcwOTU1MTYxNQ")
        .await
        .problem(400, "invalid-cursor");
    // Everything the shop has kept, from its first event on.
    let mut all = Listener::begin(cluster.admin(), Some("MTow")).await;
    let first = all.next().await.expect("an event");
    assert_eq!(first["type"], "dev.holdfast.user.registered.v1");
}

#[tokio::test]
async fn one_user_has_no_more_streams_than_one_may_and_others_have_theirs() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let (greedy, modest) = (cluster.sign_up("greedy").await, cluster.sign_up("modest").await);
    let mug = seller.lists("mug", 10).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(Listener::begin(&greedy, None).await);
    }
    let refused = greedy.get("/v1/events").await;
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.problem(429, "rate-limited")["policy"], "streams");
    let mut heard = Listener::begin(&modest, None).await;
    modest.orders(&[(&mug, 1)]).await.expect(201);
    heard.next().await.expect("an event");
    // What one gives up one may have again.
    streams.pop();
    eventually("there is room for another", || async {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = http.get(format!("{}/v1/events", greedy.api));
        let answer = request.bearer_auth(greedy.token.as_ref()?).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_reads_too_slowly_is_cut_off_and_resumes_without_a_gap() {
    const EVENTS: usize = 400;
    let cluster = Cluster::start(1).await;
    let buyer = cluster.sign_up("buyer").await;
    // Far more than what a node and both of their sockets hold for a stream.
    let sql = format!(
        "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
         SELECT 'user', '{}', 100 + n, 'user.registered', gen_random_uuid(), now(),
                jsonb_build_object('text', repeat('x', 100000)), 'made up', 0
         FROM generate_series(1, {EVENTS}) AS n",
        buyer.id
    );
    let mut slow = Listener::begin(&buyer, None).await;
    cluster.execute(&sql).await;
    let mut quick = Listener::begin(cluster.admin(), Some("MTow")).await;
    let mut versions = Vec::new();
    while versions.len() < EVENTS {
        let event = quick.next().await.expect("an event");
        if version(&event) > 100 {
            versions.push(version(&event));
        }
    }
    assert!(versions.is_sorted());
    // It has taken nothing all the while: it is behind by more than is kept, and its stream ends.
    let mut heard = Vec::new();
    while let Some(event) = slow.next().await {
        heard.push(version(&event));
    }
    assert!(
        heard.len() < EVENTS,
        "{} of {EVENTS} were kept for it",
        heard.len()
    );
    let last = slow.last_id().to_owned();
    let mut again = Listener::begin(&buyer, Some(&last)).await;
    while heard.len() < EVENTS {
        heard.push(version(&again.next().await.expect("an event")));
    }
    assert_eq!(heard, versions);
    cluster.execute("DELETE FROM event WHERE node = 'made up'").await;
}
