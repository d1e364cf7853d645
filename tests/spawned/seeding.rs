//! A shop that `holdfast seed` has made up, and customers who buy there.

use serde_json::Value;

use crate::harness::launched::{Launched, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_shop_sells_on_where_its_made_up_year_ends() {
    let up = Launched::start_at(Site::new(), &["--nodes", "1"]).await;
    let data_dir = up.site().data_dir();
    let data_dir = data_dir.to_str().expect("a path of ours is plain");
    let seed = ["seed", "--data-dir", data_dir];
    let size = ["--products", "5", "--customers", "3", "--orders", "40"];
    let seeded = up.site().run(&[&seed[..], &size].concat());
    assert!(seeded.status.success(), "{seeded:?}");

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
    let audited = up.audit();
    assert!(audited.status.success(), "{audited:?}");

    let again = up.site().run(&seed);
    assert!(!again.status.success(), "{again:?}");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("not for this to add to"),
        "{again:?}"
    );
}
