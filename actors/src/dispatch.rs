//! Handing a request to its entity on this node.

use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::{
    account::AccountMessage,
    command::{OrderCommand, ProductCommand, Request},
    entity::{Fault, Outcome, ReplyTo},
    node::Shared,
    order::{self, OrderMessage},
    product::ProductMessage,
    session::SessionMessage,
    shard::{Resident, Shard},
};

/// Asks the entity that a request is for, if this node owns its shard.
pub(crate) async fn dispatch(shared: &Shared, request: Request) -> Outcome {
    let (service, shard_id) = request.shard();
    let Some(shard) = shared.shards.get(service, shard_id) else {
        let known = shared.map().ownership(service, shard_id);
        return Err(Fault::NotOwner {
            owner: known.owner,
            epoch: known.epoch,
        });
    };
    if matches!(request, Request::Product(ProductCommand::Read(_))) && !shared.is_current() {
        // This node may have been superseded without knowing: what it remembers may be old.
        return Err(Fault::NotOwner {
            owner: None,
            epoch: 0,
        });
    }
    let _passage = shard.enter()?;
    match request {
        Request::Order(OrderCommand::Place(by, new)) => order::place(&shard.context(shared), by, new).await,
        Request::Order(command) => {
            let id = command.order_id();
            let resident = shard.order(shared, id)?;
            ask(&shard, resident, |reply| OrderMessage(command, reply)).await
        }
        Request::Product(command) => {
            let id = command.product_id();
            let resident = shard.product(shared, id)?;
            ask(&shard, resident, |reply| {
                ProductMessage::Command(Box::new(command), reply)
            })
            .await
        }
        Request::Account(id, command) => {
            let resident = shard.account(shared, id)?;
            ask(&shard, resident, |reply| AccountMessage::Command(command, reply)).await
        }
        Request::Session(command) => {
            let id = command.session_id();
            let resident = shard.session(shared, id)?;
            ask(&shard, resident, |reply| SessionMessage(command, reply)).await
        }
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
