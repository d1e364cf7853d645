//! Keys that outlive the owners who knew them.

use holdfast_actors::FaultPoint;
use serde_json::json;

use super::scene::{End, Scene, UNITS, Whose, answered, reached};
use crate::harness::order;

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
    scene.expect(answered(first).await);
    scene.is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_its_order_for_ever_and_its_payment_for_a_day_and_more() {
    let mut scene = Scene::set(End::Placed).await;
    let placed = answered(scene.orders_at(0)).await;
    let placed = placed.expect(201);
    let path = format!("/v1/orders/{}/payments", placed["id"].as_str().expect("an id"));
    let card = json!({ "provider": "test", "method": "card" });
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_one_owner_that_dies_before_it_answers_is_found_by_its_key() {
    let mut scene = Scene::set(End::Placed).await;
    let mut held = scene.hold(Whose::Owner, FaultPoint::OrderPlaced);
    let body = order(&[(scene.owners_product(), UNITS)]);
    let first = scene.asks_at(scene.index(Whose::Home), "/v1/orders", body.clone());
    reached(&mut held, FaultPoint::OrderPlaced).await;
    scene.crash(Whose::Owner).await;
    let again = scene.asks_at(scene.index(Whose::Home) + 1, "/v1/orders", body);
    let (first, again) = (answered(first).await, answered(again).await);
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(scene.cluster.count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(scene.buyer.stock_of(scene.owners_product()).await, (5, 2, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_order_loses_its_home_before_the_answer_is_made_once() {
    let mut scene = Scene::set(End::Placed).await;
    let placed = answered(scene.orders_at(0)).await;
    let order = scene.expect(placed).expect("an order");
    let mut held = scene.hold(Whose::Home, FaultPoint::OrderMoved);
    let path = format!("/v1/orders/{order}/payments");
    let card = json!({ "provider": "test", "method": "card" });
    let first = scene.asks_at(scene.index(Whose::Owner), &path, card.clone());
    reached(&mut held, FaultPoint::OrderMoved).await;
    scene.crash(Whose::Home).await;
    let again = scene.asks_at(scene.index(Whose::Owner) + 1, &path, card);
    let (first, again) = (answered(first).await, answered(again).await);
    assert_eq!(first.expect(201), again.expect(201));
    let captured = "SELECT count(*) FROM event WHERE kind = 'payment.captured'";
    assert_eq!(scene.cluster.count(captured).await, 1);
}
