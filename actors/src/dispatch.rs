//! Handing a request to its entity on this node.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{Refusal, ShardId};
use holdfast_store::Service;
use ractor::ActorRef;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument;

use crate::{
    account::AccountMessage,
    command::{OrderCommand, ProductCommand, Reply, Request},
    entity::{self, Fault, Outcome, ReplyTo, refused},
    in_progress::{Entry, Running},
    node::Shared,
    order::{self, OrderMessage},
    product::ProductMessage,
    session::SessionMessage,
    shard::{Admission, Resident, Shard},
};

/// What is left of a caller's time when a repeat is told that the first request still runs: enough for
/// the answer to reach it.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);

/// How long a shard that the map gives to this node may take to open.
const OPENING_LIMIT: Duration = Duration::from_secs(1);

/// Asks the entity that a request is for, if this node owns its shard.
///
/// A request under a key of its client's that runs here already waits for the other to end, and is then
/// answered like it; if that takes until shortly before `deadline`, it is told so.
pub(crate) async fn dispatch(shared: &Shared, request: Request, deadline: Instant) -> Outcome {
    let named = request.operation().filter(|operation| operation.named_by_client);
    let Some(operation) = named.cloned() else {
        return ask_shard(shared, request).await;
    };
    loop {
        match shared.in_progress.enter(&operation) {
            Ok(entry) => return work_to_the_end(shared, request, entry).await,
            Err(running) => {
                if !ends_before(running, deadline - ANSWER_MARGIN).await {
                    return refused(Refusal::RequestInProgress);
                }
            }
        }
    }
}

async fn ends_before(running: Running, deadline: Instant) -> bool {
    timeout_at(deadline, running.ended()).await.is_ok()
}

/// Works in a task of its own, so that the key stays taken until the work has ended even if whoever
/// waits for it does not.
async fn work_to_the_end(shared: &Shared, request: Request, entry: Entry) -> Outcome {
    let shared = shared.clone();
    let work = async move {
        // Boxed, for a task is moved on its way to the runtime.
        let outcome = Box::pin(ask_shard(&shared, request)).await;
        drop(entry);
        outcome
    };
    // A task of its own, of the same trace.
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or(Err(Fault::Lost))
}

/// Finds the shard of a request, if it is here. One that was given to this node just now is waited for.
async fn find_shard(shared: &Shared, service: Service, shard: ShardId) -> Result<Arc<Shard>, Fault> {
    if let Some(open) = shared.shards.get(service, shard) {
        return Ok(open);
    }
    let is_ours = shared.map().ownership(service, shard).owner == Some(shared.node_id);
    if is_ours && !shared.has_ended() {
        let opened = shared.shards.opened(service, shard);
        if let Ok(open) = timeout(OPENING_LIMIT, opened).await {
            return Ok(open);
        }
    }
    Err(not_owner(shared, service, shard))
}

/// Tells whoever asks for a shard that is not here who owns it, as far as this node knows.
fn not_owner(shared: &Shared, service: Service, shard: ShardId) -> Fault {
    let known = shared.map().ownership(service, shard);
    Fault::NotOwner {
        owner: known.owner,
        epoch: known.epoch,
    }
}

async fn ask_shard(shared: &Shared, request: Request) -> Outcome {
    let (service, shard_id) = request.shard();
    let shard = find_shard(shared, service, shard_id).await?;
    let is_from_memory = matches!(
        request,
        Request::Product(ProductCommand::Read(_)) | Request::Budget(_)
    );
    if is_from_memory && !shared.is_current() {
        // This node may have been superseded without knowing: what it remembers may be old.
        return Err(Fault::NotOwner {
            owner: None,
            epoch: 0,
        });
    }
    let _passage = match shard.admit().await {
        Admission::In(passage) => passage,
        // Its new owner answers what was parked here.
        Admission::Moved => return Err(not_owner(shared, service, shard_id)),
        Admission::TurnedAway => return Err(Fault::Draining),
    };
    // Boxed: it is the larger part of three tasks' futures, which are moved whole.
    let outcome = Box::pin(ask_entity(shared, &shard, request)).await;
    // What was committed has passed the fence. A refusal may rest on memory alone.
    if matches!(&outcome, Ok(answer) if answer.result.is_err()) && !shared.is_current() {
        return Err(Fault::NotOwner {
            owner: None,
            epoch: 0,
        });
    }
    outcome
}

async fn ask_entity(shared: &Shared, shard: &Arc<Shard>, request: Request) -> Outcome {
    match request {
        Request::Order(OrderCommand::Place(by, new)) => {
            order::place(&shard.context(shared).desk(), by, new).await
        }
        Request::Order(command) => {
            let id = command.order_id();
            let resident = shard.order(shared, id)?;
            ask(shard, resident, |reply| OrderMessage(command, reply)).await
        }
        Request::Product(command) => {
            let id = command.product_id();
            let resident = shard.product(shared, id)?;
            ask(shard, resident, |reply| {
                ProductMessage::Command(Box::new(command), reply)
            })
            .await
        }
        Request::Account(id, command) => {
            let resident = shard.account(shared, id)?;
            ask(shard, resident, |reply| AccountMessage::Command(command, reply)).await
        }
        Request::Session(command) => {
            let id = command.session_id();
            let resident = shard.session(shared, id)?;
            ask(shard, resident, |reply| SessionMessage(command, reply)).await
        }
        Request::Budget(draw) => entity::done(Reply::Grant(shared.grant(&draw))),
    }
}

/// Sends a message to an entity and waits for its answer.
async fn ask<M: ractor::Message>(
    shard: &Shard,
    resident: Resident<M>,
    message: impl FnOnce(ReplyTo) -> M,
) -> Outcome {
    let (reply_to, answer) = oneshot::channel();
    let actor: &ActorRef<M> = resident.actor();
    if actor.send_message(message(reply_to)).is_err() {
        shard.lost(actor.get_id());
        return Err(Fault::Lost);
    }
    answer.await.unwrap_or(Err(Fault::Lost))
}
