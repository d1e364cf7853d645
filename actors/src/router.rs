//! Finding a request's owner, and staying with the request until somebody answers.
//!
//! A node that dies is not an error to those who asked it: operations are remembered with their
//! effect, so the router asks again - the same owner, or the next one - until the budget is spent.

pub(crate) mod core;

use std::{ops::ControlFlow, time::Duration};

use holdfast_domain::{NodeId, Operation, ShardId};
use holdfast_store::Service;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

use self::core::{Event, Hint, Pursuit, Step};
use crate::{
    Error,
    command::{Answer, CallContext, Done, Reply, Request},
    dispatch::dispatch,
    entity::{Fault, Outcome},
    link::LinkError,
    map::Ownership,
    node::Shared,
    trace::TraceParent,
    wire::{self, Header, RemoteError},
};

/// A request on its way, over all attempts.
struct Call {
    message_id: Uuid,
    operation_id: Option<Uuid>,
    traceparent: Option<String>,
    deadline: Instant,
    /// Owners that the request was sent on to since it last paused.
    hops: u8,
}

/// Sends a request to its owner and returns the answer.
///
/// # Errors
/// [`Error::Refused`], or [`Error::Unavailable`] when the budget is spent.
pub(crate) async fn route(
    shared: &Shared,
    request: Request,
    context: &CallContext,
    operation: Option<&Operation>,
) -> Result<Done<Reply>, Error> {
    let (began, service) = (Instant::now(), request.target().0);
    let result = pursue(shared, request, context, operation).await;
    shared.metrics.router.ended(service, &result, began.elapsed());
    result
}

/// Asks until somebody answers or the budget is spent.
async fn pursue(
    shared: &Shared,
    request: Request,
    context: &CallContext,
    operation: Option<&Operation>,
) -> Result<Done<Reply>, Error> {
    let (began, budget) = (Instant::now(), context.budget.min(shared.options.call_budget));
    let mut pursuit = Pursuit::new(budget);
    let mut call = Call {
        message_id: Uuid::from_bytes(rand::random()),
        operation_id: operation.map(operation_id),
        traceparent: context.traceparent.clone(),
        deadline: began + budget,
        hops: 0,
    };
    let mut hint = None;
    loop {
        let (service, shard) = request.shard();
        let asked = shared.map().reachable_owner(service, shard);
        let event = match timeout_at(call.deadline, attempt(shared, &request, &call, hint)).await {
            Ok(ControlFlow::Break(answer)) => return conclude(answer),
            Ok(ControlFlow::Continue(event)) => event,
            Err(_) => Event::TimedOut,
        };
        hint = match pursuit.on(began.elapsed(), event, rand::random()) {
            Step::Ask(hint) => {
                shared.metrics.router.hop();
                hint
            }
            Step::Pause(resume_at) => {
                // Whoever has got the shard meanwhile need not be kept waiting for.
                let moved = shared.ownership_changed(service, shard, asked);
                let _ = timeout_at(began + resume_at, moved).await;
                shared.metrics.router.retry();
                None
            }
            Step::GiveUp(reason) => return Err(Error::unavailable(reason)),
        };
        call.hops = pursuit.hops();
    }
}

fn conclude(answer: Result<Answer, Error>) -> Result<Done<Reply>, Error> {
    let Answer { result, replayed } = answer?;
    match result {
        Ok(value) => Ok(Done { value, replayed }),
        Err(refusal) => Err(Error::Refused { refusal, replayed }),
    }
}

async fn attempt(
    shared: &Shared,
    request: &Request,
    call: &Call,
    hint: Option<Hint>,
) -> ControlFlow<Result<Answer, Error>, Event> {
    let (service, shard) = request.shard();
    let (owner, epoch) = match whom_to_ask(shared, service, shard, hint) {
        Some((owner, _)) if owner == shared.node_id => {
            shared.metrics.router.here();
            return after_dispatch(shared, dispatch(shared, request.clone(), call.deadline).await).await;
        }
        Some(found) => found,
        None => {
            shared.refresh_map().await;
            return ControlFlow::Continue(Event::Nobody("the shard has no owner"));
        }
    };
    let budget = call.deadline.saturating_duration_since(Instant::now());
    let mut header = header(shared, call, service, shard, epoch, budget);
    let span = tracing::info_span!(
        "call",
        otel.kind = "client",
        service = service.as_str(),
        shard = shard.0,
        to = %owner,
        hops = call.hops,
    );
    if let Some(here) = TraceParent::of(&span) {
        header.traceparent = Some(here.to_string());
    }
    shared.metrics.router.elsewhere();
    tokio::select! {
        answer = ask(shared, owner, &header, request, budget).instrument(span) => after_call(shared, answer).await,
        // An owner that is paused or cut off does not answer; it need not be waited for once it has
        // lost the shard. Should it have done the work, the operation tells its successor.
        () = shared.ownership_passed(service, shard, owner, epoch) => ControlFlow::Continue(Event::Moved(None)),
    }
}

/// Returns a shard's owner and since which epoch: as the map says, or the hint if it knows more.
fn whom_to_ask(
    shared: &Shared,
    service: Service,
    shard: ShardId,
    hint: Option<Hint>,
) -> Option<(NodeId, i64)> {
    if let Some(open) = shared.shards.get(service, shard) {
        return Some((shared.node_id, open.lease().epoch));
    }
    let map = shared.map();
    let known = map.ownership(service, shard);
    match hint {
        Some(hint) if hint.epoch > known.epoch => Some((hint.owner, hint.epoch)),
        _ => Some((map.reachable_owner(service, shard)?, known.epoch)),
    }
}

/// Goes on to the owner that somebody names who has lost the shard, or to the one that the map names
/// now.
async fn moved(shared: &Shared, owner: Option<NodeId>, epoch: i64) -> Option<Hint> {
    match owner {
        // Its word is as good as the map's, which is read in the meantime for those who come later.
        Some(owner) if owner != shared.node_id => {
            let shared = shared.clone();
            tokio::spawn(async move { shared.refresh_map().await });
            Some(Hint { owner, epoch })
        }
        _ => {
            shared.refresh_map().await;
            None
        }
    }
}

async fn after_dispatch(shared: &Shared, outcome: Outcome) -> ControlFlow<Result<Answer, Error>, Event> {
    match outcome {
        Ok(answer) => ControlFlow::Break(Ok(answer)),
        Err(Fault::NotOwner {
            owner: Some(owner),
            epoch,
        }) if owner != shared.node_id => {
            ControlFlow::Continue(Event::Moved(moved(shared, Some(owner), epoch).await))
        }
        Err(Fault::NotOwner { .. }) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Event::Nobody("this node has lost the shard"))
        }
        Err(Fault::Draining) => ControlFlow::Continue(Event::Nobody("the shard is being handed over")),
        Err(Fault::Lost) => ControlFlow::Continue(Event::Nobody("the entity was lost")),
        Err(Fault::Conflict) => ControlFlow::Continue(Event::Nobody("the entity decided on an old state")),
        Err(Fault::Overloaded) => ControlFlow::Continue(Event::Overloaded),
        Err(Fault::Store(error)) => match Error::from(error) {
            Error::Unavailable { reason, .. } => ControlFlow::Continue(Event::Nobody(reason)),
            error => ControlFlow::Break(Err(error)),
        },
    }
}

async fn after_call(
    shared: &Shared,
    answer: Result<Answer, CallError>,
) -> ControlFlow<Result<Answer, Error>, Event> {
    match answer {
        Ok(answer) => ControlFlow::Break(Ok(answer)),
        Err(CallError::Remote(RemoteError::NotOwner { owner, epoch })) => {
            ControlFlow::Continue(Event::Moved(moved(shared, owner.map(NodeId), epoch).await))
        }
        Err(CallError::Remote(RemoteError::Overloaded) | CallError::Link(LinkError::Overloaded)) => {
            ControlFlow::Continue(Event::Overloaded)
        }
        Err(CallError::Remote(RemoteError::Draining)) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Event::Nobody("the shard is being handed over"))
        }
        Err(CallError::Remote(RemoteError::Deadline | RemoteError::Internal)) => {
            ControlFlow::Continue(Event::Nobody("the owner failed"))
        }
        Err(CallError::Unknown) => {
            ControlFlow::Continue(Event::Nobody("the owner is not known to read this request"))
        }
        Err(CallError::Link(_)) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Event::Nobody("the owner cannot be reached"))
        }
        Err(CallError::Wire(error)) => {
            tracing::error!(%error, "a call could not be encoded or its answer not be read");
            ControlFlow::Break(Err(Error::WrongReply))
        }
    }
}

/// Why a call to another node was not answered.
pub(crate) enum CallError {
    Remote(RemoteError),
    Link(LinkError),
    Wire(wire::WireError),
    /// The node's release does not know the request, which was not sent.
    Unknown,
}

/// Asks another node that owns the request's shard, once, and leaves it to the caller to go on.
pub(crate) async fn ask_once(
    shared: &Shared,
    request: &Request,
    budget: Duration,
) -> Result<Answer, CallError> {
    let (service, shard) = request.shard();
    let Ownership { epoch, .. } = shared.map().ownership(service, shard);
    let owner = shared
        .map()
        .reachable_owner(service, shard)
        .filter(|owner| *owner != shared.node_id)
        .ok_or(CallError::Link(LinkError::NotConnected))?;
    let call = Call {
        message_id: Uuid::from_bytes(rand::random()),
        operation_id: None,
        traceparent: None,
        deadline: Instant::now() + budget,
        hops: 0,
    };
    let header = header(shared, &call, service, shard, epoch, budget);
    ask(shared, owner, &header, request, budget).await
}

fn header(
    shared: &Shared,
    call: &Call,
    service: Service,
    shard: ShardId,
    epoch: i64,
    budget: Duration,
) -> Header {
    Header {
        message_id: call.message_id,
        operation_id: call.operation_id,
        traceparent: call.traceparent.clone(),
        budget_ms: u32::try_from(budget.as_millis()).unwrap_or(u32::MAX),
        hops: call.hops,
        map_version: shared.map().version(),
        service: service_number(service),
        shard: shard.0,
        epoch,
    }
}

async fn ask(
    shared: &Shared,
    owner: NodeId,
    header: &Header,
    request: &Request,
    budget: Duration,
) -> Result<Answer, CallError> {
    if !knows(shared, owner, request) {
        return Err(CallError::Unknown);
    }
    let body = wire::encode(request).map_err(CallError::Wire)?;
    let frame = wire::encode_envelope(header, &body).map_err(CallError::Wire)?;
    let began = Instant::now();
    let frame = shared
        .link
        .call(owner.0, frame, budget)
        .await
        .map_err(CallError::Link)?;
    shared.metrics.router.called(began.elapsed());
    let body = wire::decode_reply(&frame)
        .map_err(CallError::Wire)?
        .map_err(CallError::Remote)?;
    wire::decode(&body).map_err(CallError::Wire)
}

/// Tells whether another node's release knows a request. One that cannot be reached is found out by asking.
pub(crate) fn knows(shared: &Shared, node: NodeId, request: &Request) -> bool {
    let since = request.since();
    since <= wire::OLDEST_VERSION || shared.link.reads(node.0).is_none_or(|newest| since <= newest)
}

/// Returns a service's number on the wire.
pub(crate) fn service_number(service: Service) -> u8 {
    match service {
        Service::Sessions => 0,
        Service::Products => 1,
        Service::Orders => 2,
    }
}

/// Names an operation in logs and traces, by what makes it unique.
fn operation_id(operation: &Operation) -> Uuid {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(operation.principal.as_bytes());
    context.update(operation.route.as_bytes());
    context.update(operation.key.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
