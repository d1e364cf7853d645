//! Keys that outlive the owners who knew them.

use holdfast_actors::FaultPoint;

use super::scene::{End, Scene, UNITS, Whose, reached};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_taken_from_the_moment_its_order_is_written_though_its_home_dies() {
    let mut scene = Scene::set(End::Placed).await;
    let mut held = scene.hold(Whose::Home, FaultPoint::OrderPlacing);
    let first = scene.orders_at(scene.index(Whose::Owner));
    reached(&mut held, FaultPoint::OrderPlacing).await;
    let other = [(scene.owners_product().to_owned(), UNITS)];
    let other = other
        .each_ref()
        .map(|(product, units)| (product.as_str(), *units));
    let others_key = scene.buyer.orders_with_key(&scene.key, &other).await;
    others_key.problem(422, "idempotency-key-reuse");
    scene.crash(Whose::Home).await;
    for node in 0..scene.cluster.len() {
        let buyer = scene.buyer.at(scene.cluster.api(node));
        let others_key = buyer.orders_with_key(&scene.key, &other).await;
        others_key.problem(422, "idempotency-key-reuse");
    }
    scene.expect(first.await.expect("no panic").expect("an answer"));
    scene.is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_its_order_for_ever_and_its_payment_for_a_day_and_more() {
    let mut scene = Scene::set(End::Placed).await;
    let placed = scene.orders_at(0).await.expect("no panic").expect("an answer");
    let placed = placed.expect(201);
    let path = format!("/v1/orders/{}/payments", placed["id"].as_str().expect("an id"));
    let card = serde_json::json!({ "provider": "test", "method": "card" });
    let paid = scene.buyer.post_with_key(&path, &scene.key, card.clone()).await;
    let paid = paid.expect(201);
    for (aged, is_remembered) in [("25 hours", true), ("30 days", false)] {
        scene
            .cluster
            .execute(&format!(
                "UPDATE operation SET at = at - interval '{aged}';
                 UPDATE orders SET created_at = created_at - interval '{aged}'"
            ))
            .await;
        scene
            .cluster
            .store
            .operations_purge(1_000)
            .await
            .expect("a purge");
        // Nobody has it in memory any more.
        if is_remembered {
            scene.crash(Whose::Home).await;
        }
        for node in 0..scene.cluster.len() {
            let buyer = scene.buyer.at(scene.cluster.api(node));
            let again = buyer.post_with_key("/v1/orders", &scene.key, scene.body()).await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{aged}");
            assert_eq!(again.expect(201), placed, "{aged}");
            let again = buyer.post_with_key(&path, &scene.key, card.clone()).await;
            if is_remembered {
                assert_eq!(again.header("idempotent-replayed"), Some("true"), "{aged}");
                assert_eq!(again.expect(201), paid, "{aged}");
            } else {
                // Forgotten, but not done again.
                again.problem(409, "invalid-transition");
            }
        }
    }
}
