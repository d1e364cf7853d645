//! Requests of a home that has died, which get to a product when its successor has ended the order.

use holdfast_actors::{FaultPoint, Held};
use serde_json::json;

use super::scene::{End, Scene, Whose, answered, reached};

/// Lets the home die while the owner has its request to reserve before it, and its successor end the
/// order without it.
async fn overtaken(end: End) -> (Scene, Held) {
    let mut scene = Scene::set(end).await;
    let mut late = scene.hold(Whose::Owner, FaultPoint::ProductReserving);
    let first = scene.orders_at(scene.index(Whose::Owner));
    reached(&mut late, FaultPoint::ProductReserving).await;
    scene.crash(Whose::Home).await;
    let first = answered(first).await;
    scene.expect(first);
    scene.nothing_is_left_to_do().await;
    (scene, late)
}

/// Lets the late request go on, to its end.
async fn arrives(scene: &Scene, late: Held) {
    let mut ended = scene.hold(Whose::Owner, FaultPoint::ProductReserved);
    late.release();
    reached(&mut ended, FaultPoint::ProductReserved).await;
    ended.release();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_homes_request_to_reserve_finds_that_its_successor_has_reserved() {
    let (scene, late) = overtaken(End::Placed).await;
    arrives(&scene, late).await;
    scene.is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_homes_request_to_reserve_finds_that_the_order_was_refused_though_there_is_more_now() {
    let (scene, late) = overtaken(End::Refused).await;
    let path = format!("/v1/products/{}/stock/adjustments", scene.owners_product());
    let counted = async |delta: i64| {
        let body = json!({ "delta": delta, "reason": "counted" });
        scene.seller.post(&path, body).await.expect(201)
    };
    counted(10).await;
    arrives(&scene, late).await;
    // Nothing of it is reserved, or these could not be taken away.
    counted(-11).await;
    counted(1).await;
    scene.is_over().await;
}
