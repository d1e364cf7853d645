//! Orders that are not paid in time while those who should notice are dead.

use std::time::Duration;

use holdfast_actors::FaultPoint;

use super::scene::{End, Scene, Whose, answered, reached};
use crate::harness::eventually;

/// How long an order may go unpaid.
const PAYMENT_DEADLINE: Duration = Duration::from_secs(3);
/// The bound on how long an expired order may keep its units.
const RETURN_BOUND_MS: i64 = 2_000;

/// Places an order that nobody pays.
async fn unpaid() -> Scene {
    let scene = Scene::set_tuned(End::Placed, |options| options.payment_deadline = PAYMENT_DEADLINE).await;
    let placed = answered(scene.orders_at(0)).await;
    scene.expect(placed);
    scene
}

/// Waits until all units are back; tells how late that was, in milliseconds on the database's clock.
async fn given_back(scene: &Scene) -> i64 {
    let late_ms =
        "SELECT (extract(epoch FROM max(clock_timestamp() - expires_at)) * 1000)::bigint FROM orders";
    let reserved = "SELECT sum(reserved)::bigint FROM stock";
    let late_ms = eventually("all units are back", || async {
        let is_back = scene.cluster.count(reserved).await == 0;
        if is_back {
            Some(scene.cluster.count(late_ms).await)
        } else {
            None
        }
    })
    .await;
    scene.nothing_is_left_to_do().await;
    scene.no_movement_is_made_twice().await;
    let expired = "SELECT count(*) FROM event WHERE kind = 'order.expired'";
    assert_eq!(scene.cluster.count(expired).await, 1);
    tracing::warn!(late_ms, "the units of an expired order are back");
    late_ms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpaid_order_gives_its_units_back_in_time_though_its_home_dies_just_before() {
    let mut scene = unpaid().await;
    let left_ms =
        "SELECT (extract(epoch FROM min(expires_at - clock_timestamp())) * 1000)::bigint FROM orders";
    eventually("its time is almost up", || async {
        (scene.cluster.count(left_ms).await < 150).then_some(())
    })
    .await;
    scene.crash(Whose::Home).await;
    let late_ms = given_back(&scene).await;
    assert!(late_ms < RETURN_BOUND_MS, "{late_ms} ms late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpaid_order_gives_its_units_back_once_though_its_home_dies_while_it_expires() {
    for point in [
        FaultPoint::OrderMoved,
        FaultPoint::OrderSettledOne,
        FaultPoint::OrderSettledAll,
    ] {
        let mut scene = unpaid().await;
        let mut held = scene.hold(Whose::Home, point);
        reached(&mut held, point).await;
        scene.crash(Whose::Home).await;
        given_back(&scene).await;
    }
}
