//! Every step of a payment that came too late, and somebody who dies there: the order has its units
//! again or the payer the money, once.

use std::time::Duration;

use holdfast_actors::FaultPoint;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::scene::{End, Scene, UNITS, Whose, answered, reached};
use crate::harness::{Answer, Provider, eventually};

/// How long an order may go unpaid.
const SOON: Duration = Duration::from_millis(1_500);

/// An order that has expired unpaid and given all of its units back.
struct Late {
    scene: Scene,
    order: Value,
    end: End,
}

impl Late {
    /// Sets a scene in which a late payment leads to `end`.
    async fn set(end: End) -> Self {
        let scene = Scene::set_tuned(End::Placed, |options| options.payment_deadline = SOON).await;
        let order = answered(scene.orders_at(0)).await.expect(201);
        let late = Self { scene, order, end };
        late.expires().await;
        if end == End::Refused {
            let path = format!("/v1/products/{}/stock/adjustments", late.scene.owners_product());
            let lost = json!({ "delta": -4, "reason": "lost" });
            late.scene.seller.post(&path, lost).await.expect(201);
        }
        late
    }

    async fn expires(&self) {
        let expired = "SELECT count(*) FROM orders WHERE state = 'expired' AND NOT unsettled";
        eventually("the order has expired and given its units back", || async {
            (self.scene.cluster.count(expired).await == 1).then_some(())
        })
        .await;
    }

    /// Reports the payment to a node, in the background.
    fn is_reported_at(&self, index: usize) -> JoinHandle<Option<Answer>> {
        let provider = self.scene.cluster.provider(index);
        let report = Provider::captured("evt_1", "pay_1", &self.order);
        tokio::spawn(async move { provider.try_report(&report).await })
    }

    /// Checks that all has come to its end, once, whatever is reported again.
    async fn is_over(&self) {
        let Self { scene, end, .. } = self;
        scene.nothing_is_left_to_do().await;
        for node in 0..scene.cluster.len() {
            answered(self.is_reported_at(node)).await.expect(204);
        }
        let events = async |kind: &str| {
            let sql = format!("SELECT count(*) FROM event WHERE kind = '{kind}'");
            scene.cluster.count(&sql).await
        };
        assert_eq!(events("payment.captured").await, 1);
        let is_revived = i64::from(*end == End::Placed);
        assert_eq!(events("order.confirmed").await, is_revived);
        assert_eq!(events("payment.refunded").await, 1 - is_revived);
        for product in &scene.products {
            let (on_hand, reserved, _) = scene.buyer.stock_of(product).await;
            let is_short = *end == End::Refused && product == scene.owners_product();
            assert_eq!(on_hand, if is_short { 1 } else { 5 });
            assert_eq!(reserved, is_revived * i64::from(UNITS));
        }
        let thrice = "SELECT count(*) FROM (
            SELECT FROM stock_movement WHERE order_id IS NOT NULL
            GROUP BY product_id, order_id, kind HAVING count(*) > 2) AS thrice";
        assert_eq!(scene.cluster.count(thrice).await, 0);
    }

    /// Checks that a revived order goes on as any other: called off, it gives its units back.
    async fn goes_on(&self) {
        if self.end == End::Refused {
            return;
        }
        let path = format!("/v1/orders/{}/cancel", self.order["id"].as_str().expect("an id"));
        self.scene.buyer.post(&path, json!({})).await.expect(200);
        self.scene.nothing_is_left_to_do().await;
        for product in &self.scene.products {
            assert_eq!(self.scene.buyer.stock_of(product).await, (5, 0, 5));
        }
    }
}

/// Lets somebody die at a point of a late payment, which is reported to survivors: to one from the
/// beginning, to the other once it has happened.
async fn dies(whose: Whose, point: FaultPoint, end: End) {
    let mut late = Late::set(end).await;
    let victim = late.scene.index(whose);
    let mut held = late.scene.hold(whose, point);
    let first = late.is_reported_at(victim + 1);
    reached(&mut held, point).await;
    late.scene.crash(whose).await;
    let again = late.is_reported_at(victim + 1);
    answered(first).await.expect(204);
    answered(again).await.expect(204);
    late.is_over().await;
    late.goes_on().await;
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
    a_home_that_dies_when_a_late_payment_is_durable_revives_the_order_once: Home at OrderMoved, Placed;
    a_home_that_dies_when_one_product_has_reserved_anew_revives_the_order_once:
        Home at OrderReservedOne, Placed;
    a_home_that_dies_when_all_products_have_reserved_anew_revives_the_order_once:
        Home at OrderReservedAll, Placed;
    a_home_that_dies_before_it_tells_that_the_order_is_revived_revives_it_once: Home at OrderRevived, Placed;
    an_owner_that_dies_before_it_reserves_anew_reserves_once: Owner at ProductReserving, Placed;
    an_owner_that_dies_before_it_tells_that_it_has_reserved_anew_reserves_once:
        Owner at ProductReserved, Placed;

    a_home_that_dies_when_a_late_payment_is_durable_refunds_it_once: Home at OrderMoved, Refused;
    a_home_that_dies_when_one_product_has_reserved_anew_in_vain_gives_it_back:
        Home at OrderReservedOne, Refused;
    a_home_that_dies_when_it_has_refunded_gives_all_back: Home at OrderRevived, Refused;
    a_home_that_dies_when_one_product_was_given_back_anew_gives_the_others_back:
        Home at OrderSettledOne, Refused;
    an_owner_that_dies_before_it_is_barred_is_barred_by_its_successor: Owner at ProductSettling, Refused;
    an_owner_that_dies_before_it_tells_that_it_is_barred_is_barred_once: Owner at ProductSettled, Refused;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_when_the_order_expired_takes_nothing_from_it_once_it_is_revived() {
    let scene = Scene::set_tuned(End::Placed, |options| options.payment_deadline = SOON).await;
    let order = answered(scene.orders_at(0)).await.expect(201);
    let mut stuck = scene.hold(Whose::Owner, FaultPoint::ProductSettling);
    reached(&mut stuck, FaultPoint::ProductSettling).await;
    // The sweeper tells the product again, and the order is settled without what is stuck.
    let late = Late {
        scene,
        order,
        end: End::Placed,
    };
    late.expires().await;
    answered(late.is_reported_at(0)).await.expect(204);
    late.is_over().await;
    stuck.release();
    late.is_over().await;
    late.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_reserve_anew_that_is_late_finds_that_the_payment_was_refunded() {
    let mut late = Late::set(End::Refused).await;
    let mut stuck = late.scene.hold(Whose::Owner, FaultPoint::ProductReserving);
    let first = late.is_reported_at(late.scene.index(Whose::Owner));
    reached(&mut stuck, FaultPoint::ProductReserving).await;
    late.scene.crash(Whose::Home).await;
    answered(first).await.expect(204);
    late.is_over().await;
    // There is more now, but the round has ended.
    let path = format!("/v1/products/{}/stock/adjustments", late.scene.owners_product());
    let counted = async |delta: i64| {
        let body = json!({ "delta": delta, "reason": "counted" });
        late.scene.seller.post(&path, body).await.expect(201)
    };
    counted(10).await;
    let mut ended = late.scene.hold(Whose::Owner, FaultPoint::ProductReserved);
    stuck.release();
    reached(&mut ended, FaultPoint::ProductReserved).await;
    ended.release();
    // Nothing is reserved, or these could not be taken away.
    counted(-11).await;
    counted(1).await;
    late.is_over().await;
}
