//! Owners that are paused at a step, lose the order to another, and go on where they stood.

use holdfast_actors::{Ended, FaultPoint};
use tokio::time::{Duration, timeout};

use super::scene::{End, Scene, Whose, answered, reached};
use crate::harness::eventually;

/// How long a node may take to find out that it was declared dead.
const FINDS_OUT_LIMIT: Duration = Duration::from_secs(10);

/// Pauses somebody at a point until another has brought the order to its end, and lets them go on.
async fn wakes(whose: Whose, point: FaultPoint, end: End) {
    let mut scene = Scene::set(end).await;
    let index = scene.index(whose);
    let mut held = scene.hold(whose, point);
    let first = scene.orders_at(index + 1);
    reached(&mut held, point).await;
    let paused = std::sync::Arc::clone(&scene.cluster.node(index).node);
    paused.hold_heartbeats(true);
    let paused_id = paused.node_id();
    eventually("the others declare it dead", || async {
        let nodes = scene.cluster.store.nodes().await.ok()?;
        let mut others = nodes.iter().filter(|node| node.node_id == paused_id);
        others.all(|node| node.state.is_over()).then_some(())
    })
    .await;
    // Whoever asked is not told of the death: at worst, to ask again.
    let first = answered(first).await;
    let told = if first.status == 503 {
        answered(scene.orders_at(index + 1)).await
    } else {
        first
    };
    let told = scene.expect(told);
    scene.nothing_is_left_to_do().await;
    held.release();
    // What it was at has ended when a repeat of it is answered here.
    let repeat = answered(scene.orders_at(index)).await;
    if repeat.status != 503 {
        assert_eq!(scene.expect(repeat), told);
    }
    paused.hold_heartbeats(false);
    assert_eq!(
        timeout(FINDS_OUT_LIMIT, paused.ended()).await,
        Ok(Ended::Superseded)
    );
    scene.crash_node(index).await;
    scene.is_over().await;
    scene.goes_on(told.as_deref()).await;
}

/// A test for each step, named after who is paused and when.
macro_rules! steps {
    ($($name:ident: $whose:ident at $point:ident, $end:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                wakes(Whose::$whose, FaultPoint::$point, End::$end).await;
            }
        )*
    };
}

steps! {
    a_home_that_wakes_before_it_asks_any_product_changes_nothing: Home at OrderPlacing, Placed;
    a_home_that_wakes_before_it_asks_products_of_a_refused_order_changes_nothing:
        Home at OrderPlacing, Refused;
    a_home_that_wakes_before_the_commit_point_obeys_its_successor: Home at OrderReservedAll, Placed;
    a_home_that_wakes_before_anything_is_given_back_gives_nothing_back_twice: Home at OrderRefused, Refused;
    a_products_owner_that_wakes_before_it_reserves_reserves_nothing: Owner at ProductReserving, Placed;
    a_products_owner_that_wakes_before_it_tells_of_its_reservation_is_not_needed:
        Owner at ProductReserved, Placed;
}
