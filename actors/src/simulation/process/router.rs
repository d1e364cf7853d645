//! Requests from process to process.

use std::{sync::Arc, time::Duration};

use holdfast_domain::NodeId;
use tokio::sync::oneshot;

use super::Process;
use crate::{
    Error,
    command::{Answer, Done, Reply, Request},
    entity::{Fault, Outcome},
};

/// How long a request may look for its owner.
pub(super) const BUDGET: Duration = Duration::from_secs(2);
/// Owners that one attempt may be sent on to before it pauses.
const HOPS_MAX: u8 = 3;
/// Pauses between attempts, in milliseconds; the last one repeats.
const PAUSES_MS: [u64; 3] = [10, 40, 160];

/// What an attempt came to.
enum Attempt {
    Answered(Answer),
    /// Somebody else owns the shard.
    Moved,
    /// Nobody answers for the shard right now.
    Nobody,
    Overloaded,
}

impl Process {
    /// Asks until somebody answers or the budget is spent.
    pub(in super::super) async fn pursue(
        self: Arc<Self>,
        request: Request,
        budget: Duration,
    ) -> Result<Done<Reply>, Error> {
        let executor = &self.world.executor;
        let deadline = executor.now() + budget.min(BUDGET);
        let (mut hops, mut pauses) = (0, 0);
        loop {
            let left = deadline.saturating_sub(executor.now());
            let Some(attempt) = executor.timeout(left, self.attempt(&request, left)).await else {
                return Err(Error::unavailable("the budget was spent on one attempt"));
            };
            match attempt {
                Attempt::Answered(Answer { result, replayed }) => {
                    return match result {
                        Ok(value) => Ok(Done { value, replayed }),
                        Err(refusal) => Err(Error::Refused { refusal, replayed }),
                    };
                }
                Attempt::Overloaded => return Err(Error::unavailable("overloaded")),
                Attempt::Moved if hops < HOPS_MAX => {
                    hops += 1;
                    continue;
                }
                Attempt::Moved | Attempt::Nobody => {}
            }
            let pause = Duration::from_millis(PAUSES_MS[pauses.min(PAUSES_MS.len() - 1)]);
            if executor.now() + pause >= deadline {
                return Err(Error::unavailable("nobody answers"));
            }
            executor.sleep(pause).await;
            hops = 0;
            pauses += 1;
        }
    }

    async fn attempt(self: &Arc<Self>, request: &Request, left: Duration) -> Attempt {
        let (service, shard) = request.shard();
        if self.shards.get(service, shard).is_some() {
            return self
                .after(self.dispatch(request.clone()).await, Attempt::Nobody)
                .await;
        }
        let map = self.map();
        let Some(owner) = map
            .reachable_owner(service, shard)
            .filter(|owner| *owner != self.id)
        else {
            self.refresh_map().await;
            return Attempt::Nobody;
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
            futures_util::future::Either::Left((Some(outcome), _)) => {
                self.after(outcome, Attempt::Moved).await
            }
            futures_util::future::Either::Left((None, _)) => {
                self.refresh_map().await;
                Attempt::Nobody
            }
            futures_util::future::Either::Right(_) => Attempt::Moved,
        }
    }

    async fn after(&self, outcome: Outcome, lost: Attempt) -> Attempt {
        match outcome {
            Ok(answer) => Attempt::Answered(answer),
            Err(Fault::NotOwner { .. }) => {
                self.refresh_map().await;
                lost
            }
            Err(Fault::Overloaded) => Attempt::Overloaded,
            Err(Fault::Draining) => {
                self.refresh_map().await;
                Attempt::Nobody
            }
            Err(Fault::Lost | Fault::Conflict | Fault::Store(_)) => Attempt::Nobody,
        }
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
