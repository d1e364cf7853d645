//! Clients: each asks for one thing, and asks again under the same key until somebody answers.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{
    Caller, Fingerprint, Money, MovementId, Operation, OperationKey, OrderId, PaymentId, PaymentProvider,
    ProductId, Role, SessionId, UserId,
    order::{NewOrder, PaymentReport, Reported, merge_lines},
};
use rand::Rng;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    executor::Group,
    history::{Answer, History},
    plan::{Plan, What},
    world::World,
};
use crate::{
    Error,
    command::{Adjustment, By, Done, OrderCommand, Payable, ProductCommand, Reply, Request},
};

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a node may look for an answer.
const BUDGET: Duration = Duration::from_secs(2);

/// Who takes part in a history, besides the nodes.
pub(super) struct Cast {
    pub(super) plan: Plan,
    pub(super) products: Vec<ProductId>,
    pub(super) customer: UserId,
    pub(super) seller: UserId,
}

/// Asks for what the plan says.
pub(super) async fn ask(world: Arc<World>, cast: Arc<Cast>, history: Arc<History>, number: usize) {
    let planned = &cast.plan.asks[number];
    world.executor.sleep(planned.at).await;
    let order = match planned.what {
        What::Pay(placed) | What::Cancel(placed) | What::Report(placed, _) => {
            match history.placed(&world.executor, placed).await {
                Some(order) => Some(order),
                // There is nothing to pay or to call off.
                None => return history.skip(number),
            }
        }
        _ => None,
    };
    history.begin(number, world.executor.now());
    loop {
        let request = cast.request(&world, number, order);
        let answer = match attempt(&world, request).await {
            Some(Ok(Done { value, .. })) => Answer::Done(Box::new(value)),
            Some(Err(Error::Refused { refusal, .. })) => Answer::Refused(refusal),
            Some(Err(Error::Store(_) | Error::WrongReply)) => Answer::Failed,
            Some(Err(Error::Unavailable { .. })) | None => {
                let pause = world.executor.draw(|rng| rng.random_range(5..=300));
                world.executor.sleep(Duration::from_millis(pause)).await;
                continue;
            }
        };
        world.trace.note(&world.executor, || {
            format!("ask {number} {:?}: {}", planned.what, answer.brief())
        });
        return history.end(number, world.executor.now(), answer);
    }
}

/// Sends a request to some node; `None` if no answer comes.
async fn attempt(world: &Arc<World>, request: Request) -> Option<Result<Done<Reply>, Error>> {
    let process = world.any_process()?;
    let (reply, replied) = oneshot::channel();
    let carrying = Arc::clone(world);
    world.executor.spawn(Group::World, async move {
        if !carrying.network.carry_outside().await || process.has_ended() {
            return;
        }
        let (done, outcome) = oneshot::channel();
        let serving = Arc::clone(&process);
        carrying.executor.spawn(process.group, async move {
            let _ = done.send(serving.pursue(request, BUDGET).await);
        });
        let Ok(outcome) = outcome.await else { return };
        if carrying.network.carry_outside().await {
            let _ = reply.send(outcome);
        }
    });
    world.executor.timeout(PATIENCE, replied).await?.ok()
}

impl Cast {
    /// Makes an ask's request; the same every time, but for the ids that an edge draws.
    fn request(&self, world: &World, number: usize, order: Option<OrderId>) -> Request {
        let now = world.database.clock();
        match (&self.plan.asks[number].what, order) {
            (What::Place(lines), _) => self.place(world, number, lines),
            (What::PlaceAgain(earlier), _) => match &self.plan.asks[*earlier].what {
                What::Place(lines) => self.place(world, *earlier, lines),
                _ => unreachable!("a plan repeats only what places an order"),
            },
            (What::Pay(_), Some(order)) => {
                let payable = Payable {
                    id: PaymentId::mint(now, world.entropy()),
                    provider: PaymentProvider::Test,
                    method: "card".to_owned(),
                };
                let by = self.by(self.customer, "POST /v1/orders/{id}/payments", number);
                Request::Order(OrderCommand::Pay(by, order, payable))
            }
            (What::Cancel(_), Some(order)) => {
                let by = self.by(self.customer, "POST /v1/orders/{id}/cancel", number);
                Request::Order(OrderCommand::Cancel(by, order, None))
            }
            (What::Report(placed, payment), Some(order)) => {
                let report = PaymentReport {
                    id: PaymentId::mint(now, world.entropy()),
                    provider: PaymentProvider::Test,
                    reference: reference(*placed, *payment),
                    amount: self.total(*placed),
                    outcome: Reported::Captured,
                };
                let By { operation, .. } = self.by(UserId(Uuid::max()), "POST /v1/payment-webhooks", number);
                Request::Order(OrderCommand::Report(operation, order, report))
            }
            (What::Adjust(product, delta), _) => {
                let adjustment = Adjustment {
                    movement_id: MovementId::mint(now, world.entropy()),
                    delta: *delta,
                    reason: "counted".to_owned(),
                    note: None,
                };
                let by = self.by(self.seller, "POST /v1/products/{id}/stock/adjustments", number);
                Request::Product(ProductCommand::Adjust(by, self.products[*product], adjustment))
            }
            (What::Pay(_) | What::Cancel(_) | What::Report(..), None) => {
                unreachable!("an order is paid once it is placed")
            }
        }
    }

    /// Returns what the order of an ask costs.
    fn total(&self, placed: usize) -> Money {
        let What::Place(lines) = &self.plan.asks[placed].what else {
            unreachable!("a plan pays only what an ask places")
        };
        let units = lines.iter().map(|(_, units)| i64::from(*units)).sum::<i64>();
        let price = super::price();
        Money::new(price.amount * units, price.currency)
    }

    fn place(&self, world: &World, key: usize, lines: &[(usize, u32)]) -> Request {
        let lines = lines
            .iter()
            .map(|(product, units)| (self.products[*product], *units));
        let lines = merge_lines(lines).expect("a plan's lines are in order");
        let shard = lines[0].product_id.shard();
        let new = NewOrder {
            id: OrderId::mint_in(shard, world.database.clock(), world.entropy()),
            customer_id: self.customer,
            lines,
            shipping_address: None,
            note: None,
            expected_total: None,
        };
        Request::Order(OrderCommand::Place(
            self.by(self.customer, "POST /v1/orders", key),
            new,
        ))
    }

    fn by(&self, user_id: UserId, route: &str, key: usize) -> By {
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&(key as u64).to_be_bytes());
        By {
            caller: Caller {
                user_id,
                session_id: SessionId(Uuid::nil()),
                role: if user_id == self.seller {
                    Role::Seller
                } else {
                    Role::Customer
                },
            },
            operation: Operation {
                principal: user_id.0,
                route: route.to_owned(),
                key: operation_key(key),
                fingerprint: Fingerprint(fingerprint),
                named_by_client: true,
            },
        }
    }
}

/// Returns the provider's name for a payment of an ask's order.
pub(super) fn reference(placed: usize, payment: u8) -> String {
    format!("payment {payment} of {placed}")
}

/// Returns the key of an ask.
pub(super) fn operation_key(number: usize) -> OperationKey {
    OperationKey::parse(&format!("ask-{number:06}")).expect("printable and long enough")
}
