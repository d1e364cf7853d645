//! A shop that `holdfast seed` has made up, and customers who buy there.

use std::fs;

use serde_json::Value;

use crate::harness::{
    eventually,
    launched::{Launched, Site},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_shop_sells_on_where_its_made_up_year_ends_and_writes_to_nobody_about_it() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let seed = [
        "seed",
        "--data-dir",
        data_dir.to_str().expect("a path of ours is plain"),
    ];
    let size = ["--products", "5", "--customers", "3", "--orders", "40"];
    let seeded = site.run(&[&seed[..], &size].concat());
    assert!(seeded.status.success(), "{seeded:?}");

    let again = site.run(&seed);
    assert!(!again.status.success(), "{again:?}");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("not for this to add to"),
        "{again:?}"
    );

    let up = Launched::start_at(site, &["--nodes", "1"]).await;
    let admin = up.admin().await;
    let orders = admin.get("/v1/orders?as=admin&limit=100").await.expect(200);
    let orders = orders["data"].as_array().expect("orders");
    assert_eq!(orders.len(), 40);
    assert!(orders.iter().all(|order| order["status"] == "fulfilled"));
    let path = format!("/v1/orders/{}/events", orders[0]["id"].as_str().expect("an id"));
    let events = admin.get(&path).await.expect(200);
    assert_eq!(events["data"].as_array().map(Vec::len), Some(4));

    let product = "00000000-0000-7000-8000-000000000000";
    let stock = admin
        .get(&format!("/v1/products/{product}/stock"))
        .await
        .expect(200);
    assert_eq!(
        (&stock["on_hand"], &stock["version"]),
        (&Value::from(999_999_992), &Value::from(17))
    );
    let customer = up.stranger(0).sign_up("customer").await;
    customer.orders(&[(product, 1)]).await.expect(201);
    // What is told is told in order: what was made up would have come first.
    let letters = eventually("a letter about the order", || async {
        let letters: Vec<_> = fs::read_dir(up.site().path("data/mail"))
            .ok()?
            .flatten()
            .collect();
        let texts: Vec<String> = letters
            .iter()
            .filter_map(|letter| fs::read_to_string(letter.path()).ok())
            .collect();
        texts
            .iter()
            .any(|text| text.contains("To: customer"))
            .then_some(texts)
    })
    .await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let audited = up.audit();
    assert!(audited.status.success(), "{audited:?}");

    let again = up.site().run(&seed);
    assert!(!again.status.success(), "{again:?}");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("in use"),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_nodes_use_is_not_seeded() {
    let up = Launched::start_at(Site::new(), &["--nodes", "1"]).await;
    let file = fs::read(up.site().path("data/run/cluster.json")).expect("a cluster");
    let cluster: Value = serde_json::from_slice(&file).expect("JSON");
    let url = cluster["database_url"].as_str().expect("a URL");
    let elsewhere = up.site().path("elsewhere");
    let elsewhere = elsewhere.to_str().expect("a path of ours is plain");
    let refused = up
        .site()
        .run(&["seed", "--database-url", url, "--data-dir", elsewhere]);
    assert!(!refused.status.success(), "{refused:?}");
    let remarks = String::from_utf8_lossy(&refused.stderr);
    assert!(remarks.contains("n1 has not left the cluster"), "{remarks}");
}
