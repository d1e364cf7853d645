//! Moving a placed order: paying, editing, cancelling, shipping.

use holdfast_domain::{
    Event, EventId, FieldError, Operation, Order, Refusal, Timestamp,
    access::{OrderView, order_view},
    order::{self, Change},
};
use holdfast_store::{OrderExpected, OrderRecord, OrderState, OrderWrite};

use super::settle;
use crate::{
    command::{By, OrderCommand, Payable, Reply},
    entity::{Fault, Outcome, done, refused},
    fault_point::fault_point,
    lane::{self, Intent, LaneError, OperationIntent, Remembered},
    operations,
    ports::Desk,
};

/// A legal move, and what to answer once it is durable.
pub(super) struct Move {
    pub(super) change: Change,
    pub(super) answer: Result<Reply, Refusal>,
}

pub(super) async fn handle(desk: &Desk, record: &mut OrderRecord, command: OrderCommand) -> Outcome {
    let Some(by) = mover(&command) else {
        return Err(Fault::Conflict);
    };
    if let Some(answer) = operations::find(desk, &by.operation).await? {
        return Ok(answer);
    }
    let Some(view) = order_view(&by.caller, &record.order) else {
        return refused(Refusal::NotFound);
    };
    let is_known = match &command {
        OrderCommand::PayNamed(_, id, payable, reference) => {
            let known = desk
                .ports
                .payment_is_known(*id, payable.provider, reference.clone());
            known.await?
        }
        _ => false,
    };
    match decide(desk, record, command) {
        Err(refusal) => operations::refuse(desk, &by.operation, refusal).await,
        Ok(_) if is_known => refused(known_already()),
        Ok(decided) => {
            let unsettled = decided.change.unsettled;
            if let Some(repeated) = commit(desk, record, &by.operation, &decided).await? {
                return Ok(repeated);
            }
            if unsettled {
                // The move is durable: should a product be out of reach, its owner hears of it later.
                settle::settle(desk, record, settle::WHILE_ASKED).await;
            }
            match (decided.answer, view) {
                (Ok(Reply::Order(order)), OrderView::SellerLines(seller)) => {
                    done(Reply::Order(order.only_lines_of(seller)))
                }
                (Ok(reply), _) => done(reply),
                (Err(refusal), _) => refused(refusal),
            }
        }
    }
}

fn mover(command: &OrderCommand) -> Option<By> {
    match command {
        OrderCommand::Edit(by, ..)
        | OrderCommand::Pay(by, ..)
        | OrderCommand::PayNamed(by, ..)
        | OrderCommand::Cancel(by, ..)
        | OrderCommand::Fulfil(by, ..) => Some(by.clone()),
        OrderCommand::Place(..) | OrderCommand::Resume(_) | OrderCommand::Report(..) => None,
    }
}

fn decide(desk: &Desk, record: &OrderRecord, command: OrderCommand) -> Result<Move, Refusal> {
    let (order, at) = (&record.order, desk.now());
    match command {
        OrderCommand::Pay(by, _, payable) => pay(order, &by, payable, None, at),
        OrderCommand::PayNamed(by, _, payable, reference) => pay(order, &by, payable, Some(&reference), at),
        OrderCommand::Edit(by, _, patch, version) => {
            Ok(Move::showing(order::edit(order, patch, version, &by.caller, at)?))
        }
        OrderCommand::Cancel(by, _, reason) => Ok(Move::showing(order::cancel(
            order,
            &by.caller,
            reason.as_deref(),
            at,
        )?)),
        OrderCommand::Fulfil(by, _, new) => {
            let (change, fulfilment) = order::fulfil(order, new, &by.caller, at)?;
            Ok(Move {
                change,
                answer: Ok(Reply::Fulfilment(fulfilment)),
            })
        }
        OrderCommand::Place(..) | OrderCommand::Resume(_) | OrderCommand::Report(..) => {
            Err(Refusal::NotFound)
        }
    }
}

fn pay(
    order: &Order,
    by: &By,
    Payable { id, provider, method }: Payable,
    reference: Option<&str>,
    at: Timestamp,
) -> Result<Move, Refusal> {
    // A name decides what is given back: a customer's word is not enough for that.
    let may = match reference {
        None => by.caller.user_id == order.customer_id,
        Some(_) => by.caller.is_admin(),
    };
    if !may {
        return Err(Refusal::Forbidden);
    }
    let paid = order::pay(order, id, (provider, &method, reference), by.caller.user_id, at)?;
    Ok(Move {
        change: paid.change,
        answer: paid.outcome.map(Reply::Payment),
    })
}

/// Refuses to pay an order by money that was taken note of before.
fn known_already() -> Refusal {
    let message = "names a payment that its provider has reported before";
    Refusal::Invalid(vec![FieldError::new("/reference", message)])
}

impl Move {
    /// A move that is answered with the order as it is after it.
    fn showing(change: Change) -> Self {
        let answer = Ok(Reply::Order(change.order.clone()));
        Self { change, answer }
    }
}

/// Commits a move and updates the record; returns the first answer if the operation was done before.
pub(super) async fn commit(
    desk: &Desk,
    record: &mut OrderRecord,
    operation: &Operation,
    decided: &Move,
) -> Result<Option<crate::command::Answer>, Fault> {
    let remembered = match &decided.answer {
        Ok(reply) => Remembered::Reply(Box::new(reply.clone())),
        Err(refusal) => Remembered::Refusal(refusal.clone()),
    };
    let next = moved(record, &decided.change);
    let intent = Intent {
        operation: Some(OperationIntent {
            operation: operation.clone(),
            remembered,
            at: desk.now(),
        }),
        ..intent(desk, record, &next, &decided.change)
    };
    match desk.commit(intent, Vec::new()).await {
        Ok(_) => {
            fault_point!(desk, OrderMoved);
            *record = next;
            Ok(None)
        }
        Err(lane::Fault::Lane(LaneError::Duplicate)) => match operations::find(desk, operation).await? {
            Some(answer) => Ok(Some(answer)),
            None => Err(Fault::Conflict),
        },
        Err(fault) => Err(fault.into()),
    }
}

/// Makes the row that a change leads to.
pub(super) fn moved(record: &OrderRecord, change: &Change) -> OrderRecord {
    OrderRecord {
        order: change.order.clone(),
        state: OrderState::Placed,
        unsettled: record.unsettled || change.unsettled,
        round: record.round + u32::from(change.renews),
        ..record.clone()
    }
}

/// Makes the intent by which an order moves from one row to the next, if the first still stands.
pub(super) fn intent(desk: &Desk, before: &OrderRecord, next: &OrderRecord, change: &Change) -> Intent {
    let version = before.order.version;
    Intent {
        leases: vec![desk.lease],
        order: Some(OrderWrite {
            record: next.clone(),
            expected: OrderExpected::Placed { version },
        }),
        events: events_of(desk, change, version),
        ..Intent::default()
    }
}

/// Makes a change's events; the first follows the version that stood.
pub(super) fn events_of(desk: &Desk, change: &Change, version_before: i64) -> Vec<Event> {
    let sequences = version_before + 1..;
    let events = change
        .events
        .iter()
        .zip(sequences)
        .map(|(event, sequence)| Event {
            id: EventId::mint(change.order.updated_at, desk.ports.entropy()),
            kind: event.kind,
            subject: change.order.id.0,
            sequence,
            at: change.order.updated_at,
            actor_id: change.actor_id,
            data: event.data.clone(),
            trace_id: None,
        });
    events.collect()
}
