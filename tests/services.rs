//! Services apart: nodes that carry one role each, as in `cluster.services.toml`.

use holdfast_actors::NodeOptions;
use holdfast_store::Service;
use serde_json::{Value, json};

use crate::harness::{Cluster, Person, eventually, random_key};

/// The nodes, counted from 0: two edges, and one for each service.
const ROLES: [&str; 5] = ["edge", "edge", "sessions", "products", "orders"];
const EDGES: [usize; 2] = [0, 1];
const ORDERS: usize = 4;

async fn services_apart() -> Cluster {
    Cluster::start_tuned(ROLES.len(), one_role_each).await
}

/// Gives the nodes, which are called `n1` and so on, their roles.
fn one_role_each(options: &mut NodeOptions) {
    let number: usize = options.name[1..].parse().expect("a number");
    options.roles = vec![ROLES[number - 1].to_owned()];
}

/// The same person at either edge.
fn at_both(cluster: &Cluster, person: &Person) -> [Person; 2] {
    EDGES.map(|edge| person.at(cluster.api(edge)))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn each_service_is_owned_by_the_node_that_carries_it() {
    let cluster = services_apart().await;
    let map = cluster.store.map_load().await.expect("a map");
    for shard in &map.shards {
        let role = match shard.service {
            Service::Sessions => "sessions",
            Service::Products => "products",
            Service::Orders => "orders",
        };
        let owner = map.nodes.iter().find(|node| Some(node.node_id) == shard.owner);
        assert_eq!(owner.expect("a node").roles, [role], "{shard:?}");
    }
    for (node, role) in ROLES.iter().enumerate() {
        assert_eq!(cluster.node(node).api.is_empty(), *role != "edge");
        let ops = cluster.admin().at(&cluster.node(node).ops);
        ops.get("/readyz").await.expect(200);
        ops.get("/v1/cluster").await.expect(200);
    }
}

#[tokio::test]
async fn accounts_and_sessions_work_on_services_apart() {
    let cluster = services_apart().await;
    let [here, there] = at_both(&cluster, &cluster.sign_up("ada").await);
    let me = there.get_now("/v1/me").await;
    let version = me.header("etag").expect("a tag").to_owned();
    assert_eq!(text(&me.expect(200)["id"]), here.id);
    there
        .send(
            reqwest::Method::PATCH,
            "/v1/me",
            &[("if-match", &version)],
            Some(json!({ "display_name": "Ada" })),
        )
        .await
        .expect(200);
    let elsewhere = there.sign_in().await;
    let sessions = here.get("/v1/me/sessions").await.expect(200);
    assert_eq!(sessions["data"].as_array().map(Vec::len), Some(2));
    let refresh = json!({ "refresh_token": elsewhere.refresh_token });
    let tokens = here.post("/v1/auth/refresh", refresh).await.expect(200);
    let renewed = Person {
        token: tokens["access_token"].as_str().map(str::to_owned),
        ..here.clone()
    };
    renewed.get("/v1/me").await.expect(200);
    here.post("/v1/auth/logout", json!({})).await.expect(204);
    here.get("/v1/me").await.expect(401);
    eventually("the other edge refuses the session", || async {
        (there.get("/v1/me").await.status == 401).then_some(())
    })
    .await;
    let change = json!({ "current_password": "a long enough secret", "new_password": "another long secret" });
    renewed.post("/v1/me/password", change).await.expect(204);
    there.log_in("a long enough secret").await.expect(401);
    there.log_in("another long secret").await.expect(200);
}

#[tokio::test]
async fn products_and_orders_work_on_services_apart() {
    let cluster = services_apart().await;
    let [seller, seller_there] = at_both(&cluster, &cluster.seller("seller").await);
    let [buyer, buyer_there] = at_both(&cluster, &cluster.sign_up("buyer").await);
    let (mug, bowl, lamp) = (
        seller.lists("mug", 10).await,
        seller_there.lists("bowl", 10).await,
        seller.lists("lamp", 1).await,
    );
    seller_there
        .patch(&format!("/v1/products/{mug}"), 1, json!({ "name": "big mug" }))
        .await
        .expect(200);
    assert_eq!(
        buyer.get_now(&format!("/v1/products/{mug}")).await.expect(200)["name"],
        "big mug"
    );

    // One product or several, the orders' node owns none of them.
    let key = random_key();
    let lines = [(mug.as_str(), 3), (bowl.as_str(), 2)];
    let order = buyer.orders_with_key(&key, &lines).await.expect(201);
    let again = buyer_there.orders_with_key(&key, &lines).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201)["id"], order["id"]);
    let path = format!("/v1/orders/{}", text(&order["id"]));
    let single = buyer_there.orders(&[(&mug, 1)]).await.expect(201);
    let short = buyer.orders(&[(&mug, 1), (&lamp, 2)]).await;
    let short = short.problem(409, "insufficient-stock");
    assert_eq!(short["lines"][0]["product_id"], lamp.as_str());
    eventually(
        "what was reserved for the refused order is given back",
        || async { (buyer.stock_of(&mug).await == (10, 4, 6)).then_some(()) },
    )
    .await;

    buyer_there.pays(&text(&order["id"]), "card").await.expect(201);
    let ship = |product: &str, units: u32| json!({ "lines": [{ "product_id": product, "quantity": units }] });
    let fulfilments = format!("{path}/fulfilments");
    seller_there.post(&fulfilments, ship(&mug, 3)).await.expect(201);
    seller.post(&fulfilments, ship(&bowl, 2)).await.expect(201);
    assert_eq!(buyer.get_now(&path).await.expect(200)["status"], "fulfilled");
    let cancel = format!("/v1/orders/{}/cancel", text(&single["id"]));
    buyer.post(&cancel, json!({})).await.expect(200);
    eventually("shipped units are gone and cancelled ones for sale", || async {
        let counts = (buyer.stock_of(&mug).await, buyer.stock_of(&bowl).await);
        (counts == ((7, 0, 7), (8, 0, 8))).then_some(())
    })
    .await;

    for (person, path, least) in [
        (&buyer_there, "/v1/orders".to_owned(), 2),
        (&buyer, format!("{path}/events"), 4),
        (&buyer_there, "/v1/products".to_owned(), 3),
        (&seller, format!("/v1/products/{mug}/stock/movements"), 4),
    ] {
        let page = person.get_now(&path).await.expect(200);
        let found = page["data"].as_array().map_or(0, Vec::len);
        assert!(found >= least, "{path}: {page:#}");
    }
}

#[tokio::test]
async fn without_its_node_a_service_is_unavailable_the_others_go_on_and_nothing_is_lost() {
    let mut cluster = services_apart().await;
    let seller = cluster.seller("seller").await;
    let (mug, bowl) = (seller.lists("mug", 10).await, seller.lists("bowl", 10).await);
    let buyer = cluster.sign_up("buyer").await;
    let lines = [(mug.as_str(), 1), (bowl.as_str(), 1)];
    let before = buyer.orders(&lines).await.expect(201);
    let path = format!("/v1/orders/{}", text(&before["id"]));

    let name = cluster.crash(ORDERS).await;
    let key = random_key();
    let refused = buyer.orders_with_key(&key, &lines).await;
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    refused.problem(503, "unavailable");
    for edge in at_both(&cluster, &buyer) {
        eventually("the edge takes requests for the others", || async {
            (edge.get("/readyz").await.status == 200).then_some(())
        })
        .await;
        edge.sign_in().await.get("/v1/me").await.expect(200);
        edge.get(&format!("/v1/products/{mug}")).await.expect(200);
        // What is read goes past the owners.
        edge.get(&path).await.expect(200);
    }
    let later = seller.lists("lamp", 1).await;

    cluster.restart(&name).await;
    cluster.settled().await;
    assert_eq!(buyer.get_now(&path).await.expect(200)["id"], before["id"]);
    let placed = buyer.orders_with_key(&key, &lines).await.expect(201);
    assert_ne!(placed["id"], before["id"]);
    buyer.orders(&[(&later, 1)]).await.expect(201);
    for product in [&mug, &bowl] {
        eventually("every order holds its units, once", || async {
            (buyer.stock_of(product).await == (10, 2, 8)).then_some(())
        })
        .await;
    }
}
