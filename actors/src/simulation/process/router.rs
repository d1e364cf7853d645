//! Requests from process to process.

use std::{sync::Arc, time::Duration};

use holdfast_domain::NodeId;
use rand::Rng;
use tokio::sync::oneshot;

use super::Process;
use crate::{
    Error,
    command::{Answer, Done, Reply, Request},
    entity::{Fault, Outcome},
    router::core::{Event, Pursuit, Step},
};

/// How long a request may look for its owner.
pub(super) const BUDGET: Duration = Duration::from_secs(2);
/// What an attempt came to.
enum Attempt {
    Answered(Box<Answer>),
    Failed(Event),
}

impl Process {
    /// Asks until somebody answers or the budget is spent.
    pub(in super::super) async fn pursue(
        self: Arc<Self>,
        request: Request,
        budget: Duration,
    ) -> Result<Done<Reply>, Error> {
        let executor = &self.world.executor;
        let (began, budget) = (executor.now(), budget.min(BUDGET));
        let mut pursuit = Pursuit::new(budget);
        loop {
            let left = (began + budget).saturating_sub(executor.now());
            let attempt = executor.timeout(left, self.attempt(&request, left)).await;
            let event = match attempt.unwrap_or(Attempt::Failed(Event::TimedOut)) {
                Attempt::Answered(answer) => {
                    let Answer { result, replayed } = *answer;
                    return match result {
                        Ok(value) => Ok(Done { value, replayed }),
                        Err(refusal) => Err(Error::Refused { refusal, replayed }),
                    };
                }
                Attempt::Failed(event) => event,
            };
            let jitter = executor.draw(Rng::random);
            match pursuit.on(executor.now().saturating_sub(began), event, jitter) {
                Step::Ask(_) => {}
                Step::Pause(resume_at) => {
                    let pause = (began + resume_at).saturating_sub(executor.now());
                    executor.sleep(pause).await;
                }
                Step::GiveUp(reason) => return Err(Error::unavailable(reason)),
            }
        }
    }

    async fn attempt(self: &Arc<Self>, request: &Request, left: Duration) -> Attempt {
        let (service, shard) = request.shard();
        if self.shards.get(service, shard).is_some() {
            return self.after(self.dispatch(request.clone()).await).await;
        }
        let map = self.map();
        let Some(owner) = map
            .reachable_owner(service, shard)
            .filter(|owner| *owner != self.id)
        else {
            self.refresh_map().await;
            return Attempt::Failed(Event::Nobody("the shard has no owner"));
        };
        let moved = async {
            loop {
                let changed = self.map_changed.notified();
                if self.map().reachable_owner(service, shard) != Some(owner) {
                    return;
                }
                changed.await;
            }
        };
        let call = self.call(owner, request.clone(), left);
        match futures_util::future::select(std::pin::pin!(call), std::pin::pin!(moved)).await {
            futures_util::future::Either::Left((Some(outcome), _)) => self.after(outcome).await,
            futures_util::future::Either::Left((None, _)) => {
                self.refresh_map().await;
                Attempt::Failed(Event::Nobody("the owner cannot be reached"))
            }
            futures_util::future::Either::Right(_) => Attempt::Failed(Event::Moved(None)),
        }
    }

    async fn after(&self, outcome: Outcome) -> Attempt {
        Attempt::Failed(match outcome {
            Ok(answer) => return Attempt::Answered(Box::new(answer)),
            Err(Fault::NotOwner { .. }) => {
                self.refresh_map().await;
                Event::Moved(None)
            }
            Err(Fault::Overloaded) => Event::Overloaded,
            Err(Fault::Draining) => {
                self.refresh_map().await;
                Event::Nobody("the shard is being handed over")
            }
            Err(Fault::Lost | Fault::Conflict | Fault::Store(_)) => Event::Nobody("the owner failed"),
        })
    }

    /// Sends a request to another process; `None` if no answer comes.
    async fn call(&self, owner: NodeId, request: Request, budget: Duration) -> Option<Outcome> {
        let to = self.world.process(owner)?;
        let (from, network) = (self.node, &self.world.network);
        if network.doubles() {
            let (to, request) = (Arc::clone(&to), request.clone());
            self.world
                .deliver(from, to, request, budget, oneshot::channel().0);
        }
        let (reply, replied) = oneshot::channel();
        self.world.deliver(from, to, request, budget, reply);
        replied.await.ok()
    }
}
