//! Every step of the saga, and somebody who dies there.

use holdfast_actors::FaultPoint;
use serde_json::json;

use super::scene::{End, Scene, Whose, answered, reached};

/// Lets somebody die at a point of an order that two survivors are asked for: one from the beginning,
/// the other once it has happened.
async fn dies(whose: Whose, point: FaultPoint, end: End) {
    let mut scene = Scene::set(end).await;
    let victim = scene.index(whose);
    let mut held = scene.hold(whose, point);
    let first = scene.orders_at((victim + 1) % 3);
    reached(&mut held, point).await;
    scene.crash(whose).await;
    // With the victim gone, the nodes behind it have moved up.
    let again = scene.orders_at(victim + 1);
    let first = answered(first).await;
    let again = answered(again).await;
    let (first, again) = (scene.expect(first), scene.expect(again));
    assert_eq!(first, again);
    scene.is_over().await;
    scene.goes_on(first.as_deref()).await;
}

/// A test for each step, named after who dies and when.
macro_rules! steps {
    ($($name:ident: $whose:ident at $point:ident, $end:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                dies(Whose::$whose, FaultPoint::$point, End::$end).await;
            }
        )*
    };
}

steps! {
    a_home_that_dies_before_it_asks_any_product_places_one_order: Home at OrderPlacing, Placed;
    a_home_that_dies_when_one_product_has_reserved_places_one_order: Home at OrderReservedOne, Placed;
    a_home_that_dies_when_all_products_have_reserved_places_one_order: Home at OrderReservedAll, Placed;
    a_home_that_dies_before_it_tells_that_it_has_placed_places_one_order: Home at OrderPlaced, Placed;

    a_home_that_dies_before_it_asks_products_of_which_one_is_short_places_none:
        Home at OrderPlacing, Refused;
    a_home_that_dies_when_one_product_has_reserved_and_one_is_short_gives_it_back:
        Home at OrderReservedOne, Refused;
    a_home_that_dies_before_anything_is_given_back_gives_all_back: Home at OrderRefused, Refused;
    a_home_that_dies_when_one_product_was_given_back_gives_the_others_back:
        Home at OrderSettledOne, Refused;
    a_home_that_dies_before_it_notes_that_all_was_given_back_gives_it_back_once:
        Home at OrderSettledAll, Refused;

    a_products_owner_that_dies_before_it_reserves_reserves_once: Owner at ProductReserving, Placed;
    a_products_owner_that_dies_before_it_tells_that_it_has_reserved_reserves_once:
        Owner at ProductReserved, Placed;
    an_owner_that_dies_before_it_tells_that_its_product_is_short_reserves_nothing:
        Owner at ProductReserving, Refused;
    an_owner_that_dies_before_it_gives_back_gives_back_once: Owner at ProductSettling, Refused;
    an_owner_that_dies_before_it_tells_that_it_has_given_back_gives_back_once:
        Owner at ProductSettled, Refused;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_next_home_dies_too_is_placed_once_by_the_last() {
    let mut scene = Scene::set(End::Placed).await;
    let mut held = scene.hold(Whose::Home, FaultPoint::OrderReservedOne);
    let lost = scene.orders_at(scene.index(Whose::Home));
    reached(&mut held, FaultPoint::OrderReservedOne).await;
    scene.crash(Whose::Home).await;
    // Either may be the next.
    let point = FaultPoint::OrderReservedAll;
    let mut held = [0, 1].map(|node| scene.cluster.node(node).node.fault_points().hold(point));
    let asked = scene.orders_at(0);
    let next = {
        let [first, second] = &mut held;
        tokio::select! {
            () = reached(first, point) => 0,
            () = reached(second, point) => 1,
        }
    };
    scene.crash_node(next).await;
    drop(held);
    let last = answered(scene.orders_at(0)).await;
    let last = scene.expect(last);
    assert!(lost.await.expect("no panic").is_none(), "a dead node answered");
    // A request is kept through one death; through two it may be told to ask again.
    let asked = asked.await.expect("no panic");
    if let Some(asked) = asked.filter(|answer| answer.status != 503) {
        assert_eq!(scene.expect(asked), last);
    }
    scene.is_over().await;
    scene.goes_on(last.as_deref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_client_is_lost_with_its_home_is_finished_by_the_next_home() {
    let mut scene = Scene::set(End::Placed).await;
    let mut held = scene.hold(Whose::Home, FaultPoint::OrderReservedAll);
    let lost = scene.orders_at(scene.index(Whose::Home));
    reached(&mut held, FaultPoint::OrderReservedAll).await;
    scene.crash(Whose::Home).await;
    assert!(lost.await.expect("no panic").is_none(), "a dead node answered");
    // Nobody asks again: the sweeper finishes it, once its deadline has passed.
    scene.nothing_is_left_to_do().await;
    scene.is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_order_whose_home_dies_gives_everything_back_once() {
    for point in [
        FaultPoint::OrderMoved,
        FaultPoint::OrderSettledOne,
        FaultPoint::OrderSettledAll,
    ] {
        let mut scene = Scene::set(End::Placed).await;
        let placed = answered(scene.orders_at(0)).await;
        let order = scene.expect(placed).expect("an order");
        let path = format!("/v1/orders/{order}/cancel");
        let mut held = scene.hold(Whose::Home, point);
        let cancelling = scene.asks_at(scene.index(Whose::Owner), &path, json!({}));
        reached(&mut held, point).await;
        scene.crash(Whose::Home).await;
        let cancelled = answered(cancelling).await.expect(200);
        assert_eq!(cancelled["status"], "cancelled", "{point:?}");
        scene.nothing_is_left_to_do().await;
        scene.has_given_all_back().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_that_was_told_in_vain_to_give_back_is_told_again() {
    let mut scene = Scene::set(End::Placed).await;
    let placed = answered(scene.orders_at(0)).await;
    let order = scene.expect(placed).expect("an order");
    let mut stuck = scene.hold(Whose::Owner, FaultPoint::ProductSettling);
    let path = format!("/v1/orders/{order}/cancel");
    let cancelling = scene.asks_at(0, &path, json!({}));
    reached(&mut stuck, FaultPoint::ProductSettling).await;
    // The customer does not wait for the product, nor the product for what is stuck.
    answered(cancelling).await.expect(200);
    scene.nothing_is_left_to_do().await;
    scene.has_given_all_back().await;
    // What was stuck finds nothing left to do; nor does the next home.
    stuck.release();
    scene.crash(Whose::Home).await;
    scene.has_given_all_back().await;
}
