//! `holdfast up`, from nothing to a shop that sells.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use nix::unistd::{User, geteuid};
use serde_json::{Value, json};

use crate::harness::{
    Person, eventually,
    launched::{Launched, Site},
};

/// Lists products until every node owns one; returns one of each.
async fn products_of_all_nodes(up: &Launched, admin: &Person, stock: u32) -> Vec<String> {
    let asker = admin.at(&up.nodes()[0].ops);
    let mut found = BTreeMap::new();
    while found.len() < up.nodes().len() {
        let product = admin.lists("thing", stock).await;
        let owner = up.owner_of_product(&asker, &product).await;
        found.entry(owner.name).or_insert(product);
    }
    found.into_values().collect()
}

/// An order of one unit of each product, with its id.
async fn order_of_all(buyer: &Person, products: &[String]) -> (String, Value) {
    let lines: Vec<(&str, u32)> = products.iter().map(|product| (product.as_str(), 1)).collect();
    let order = buyer.orders(&lines).await.expect(201);
    (order["id"].as_str().expect("an id").to_owned(), order)
}

/// Registers, lists, orders, pays and cancels, on every node.
async fn a_person_can_shop(up: &Launched) {
    let admin = up.admin().await;
    let products = products_of_all_nodes(up, &admin, 10).await;
    let buyer = up.stranger(0).sign_up("buyer").await;
    let nodes = up.nodes();
    for node in &nodes {
        let buyer = buyer.at(&node.api).sign_in().await;
        let (paid, order) = order_of_all(&buyer, &products).await;
        assert_eq!(order["lines"].as_array().map(Vec::len), Some(products.len()));
        buyer.pays(&paid, "card").await.expect(201);
        let paid = buyer.get_now(&format!("/v1/orders/{paid}")).await.expect(200);
        assert_eq!(paid["status"], "confirmed");
        let (cancelled, _) = order_of_all(&buyer, &products).await;
        let path = format!("/v1/orders/{cancelled}/cancel");
        let cancelled = buyer.post(&path, json!({})).await.expect(200);
        assert_eq!(cancelled["status"], "cancelled");
    }
    let sold = i64::try_from(nodes.len()).expect("a small number");
    for product in &products {
        eventually("what was cancelled is for sale again", || async {
            (buyer.stock_of(product).await == (10, sold, 10 - sold)).then_some(())
        })
        .await;
    }
}

fn mode_of(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn up_starts_three_nodes_and_says_where_they_are() {
    let up = Launched::start().await;
    let run = up.site().data_dir().join("run");
    let file = run.join("cluster.json");
    let said = up.said();
    let first = said.lines().next().expect("a line");
    assert!(
        first.starts_with("ready in ")
            && first.ends_with(&format!(" s: 3 nodes, listed in {}", file.display())),
        "{said}"
    );
    let text = fs::read(&file).expect("a file");
    let cluster: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(
        cluster.as_object().expect("an object").keys().collect::<Vec<_>>(),
        ["database_url", "nodes"]
    );
    assert!(
        cluster["database_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("postgres://"))
    );
    let base = up.site().base_port();
    for (n, node) in (0..3_u16).zip(cluster["nodes"].as_array().expect("a list")) {
        let pid = node["pid"].as_u64().expect("a pid");
        let (api, ops) = (base + n, base + 1_000 + n);
        let expected = json!({
            "name": format!("n{}", n + 1),
            "pid": pid,
            "api": format!("http://127.0.0.1:{api}"),
            "ops": format!("http://127.0.0.1:{ops}"),
        });
        assert_eq!(*node, expected);
        for value in [
            node["api"].as_str(),
            node["ops"].as_str(),
            Some(&*pid.to_string()),
        ] {
            assert!(
                said.contains(value.expect("a text")),
                "{value:?} is not in {said}"
            );
        }
    }
    let mail = format!(
        "Mail: not sent, but written to {}",
        up.site().data_dir().join("mail").display()
    );
    assert!(said.contains(&mail), "{mail:?} is not in {said}");
    let admin_file = run.join("admin.json");
    assert!(
        said.contains(admin_file.to_str().expect("a plain path")),
        "{said}"
    );
    for private in [&file, &admin_file, &run.join("cookie")] {
        assert_eq!(mode_of(private), 0o600, "{}", private.display());
    }
    let nodes = up.nodes();
    assert_eq!(nodes.len(), 3);
    for node in &nodes {
        for listener in [&node.api, &node.ops] {
            up.stranger(0).at(listener).get("/readyz").await.expect(200);
        }
    }
    a_person_can_shop(&up).await;
}

#[tokio::test]
async fn up_works_for_an_ordinary_user() {
    if !geteuid().is_root() {
        eprintln!("skipped: an ordinary user runs these tests, so the others have shown it");
        return;
    }
    let nobody = User::from_name("nobody").expect("a user database");
    let nobody = nobody.expect("a user without privileges");
    let uid = nobody.uid.as_raw();
    let up = Launched::start_at(Site::of(nobody), &[]).await;
    let mut processes = up.processes();
    processes.push(up.up());
    for process in processes {
        // A process of Postgres' may have ended by now.
        let owner = fs::metadata(format!("/proc/{}", process.pid())).map(|found| found.uid());
        assert!(
            process.is_gone() || owner.is_ok_and(|owner| owner == uid),
            "{process:?}"
        );
    }
    let admin_file = up.site().data_dir().join("run").join("admin.json");
    let owner = fs::metadata(&admin_file).expect("a file").uid();
    assert_eq!((owner, mode_of(&admin_file)), (uid, 0o600));
    a_person_can_shop(&up).await;
}
