//! The actor of an order that has been placed.

use holdfast_domain::{OrderId, Refusal};
use holdfast_store::{OrderRecord, OrderState};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{moves, report, resume};
use crate::{
    command::OrderCommand,
    entity::{Context, Fault, Outcome, ReplyTo, conclude, refused},
    ports::Desk,
};

/// What an order receives: a request, and where its answer goes.
pub(crate) struct OrderMessage(pub(crate) OrderCommand, pub(crate) ReplyTo);

impl ractor::Message for OrderMessage {}

/// An order's actor.
pub(crate) struct OrderActor {
    pub(crate) context: Context,
    pub(crate) id: OrderId,
}

impl Actor for OrderActor {
    type Msg = OrderMessage;
    /// The order's row; `None` while there is none.
    type State = Option<OrderRecord>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<OrderMessage>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(Box::pin(self.context.shared.store.order_record(self.id)).await?)
    }

    async fn handle(
        &self,
        _: ActorRef<OrderMessage>,
        OrderMessage(command, reply_to): OrderMessage,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let outcome = Box::pin(answer(&self.context.desk(), state, command)).await;
        conclude(outcome, reply_to)
    }
}

/// Answers a request to an order that is remembered as `state`.
pub(crate) async fn answer(desk: &Desk, state: &mut Option<OrderRecord>, command: OrderCommand) -> Outcome {
    let is_known = state
        .as_ref()
        .is_some_and(|record| record.state == OrderState::Placed);
    if !is_known {
        // It may have been placed since: placing does not go through here.
        *state = desk.ports.order(command.order_id()).await?;
    }
    let Some(record) = state else {
        return refused(Refusal::NotFound);
    };
    match command {
        OrderCommand::Resume(_) => resume::handle(desk, record).await,
        OrderCommand::Place(..) => Err(Fault::Conflict),
        OrderCommand::Report(operation, _, report) if record.state == OrderState::Placed => {
            report::handle(desk, record, &operation, &report).await
        }
        command if record.state == OrderState::Placed => moves::handle(desk, record, command).await,
        _ => refused(Refusal::NotFound),
    }
}
