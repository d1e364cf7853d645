//! Finding a request's owner, and staying with the request until somebody answers.
//!
//! A node that dies is not an error to those who asked it: operations are remembered with their
//! effect, so the router asks again - the same owner, or the next one - until the budget is spent.

use std::{ops::ControlFlow, time::Duration};

use holdfast_domain::{NodeId, Operation, ShardId};
use holdfast_store::Service;
use rand::Rng as _;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Error,
    command::{Answer, CallContext, Done, Reply, Request},
    dispatch::dispatch,
    entity::{Fault, Outcome},
    link::LinkError,
    map::ShardMap,
    node::Shared,
    trace::TraceParent,
    wire::{self, Header, RemoteError},
};

/// Owners that one attempt may be sent on to before it pauses.
const HOPS_MAX: u8 = 3;

/// Pauses between attempts, in milliseconds; the last one repeats.
const PAUSES_MS: [u64; 3] = [10, 40, 160];

/// Why an attempt came to nothing.
enum Attempt {
    /// Somebody else owns the shard.
    Moved,
    /// Nobody answers for the shard right now.
    Nobody(&'static str),
    /// Asking again would make it worse.
    Overloaded,
}

/// A request on its way, over all attempts.
struct Call {
    message_id: Uuid,
    operation_id: Option<Uuid>,
    traceparent: Option<String>,
    deadline: Instant,
    /// Owners that this attempt has been sent on to.
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
    let deadline = Instant::now() + context.budget.min(shared.options.call_budget);
    let mut call = Call {
        message_id: Uuid::from_bytes(rand::random()),
        operation_id: operation.map(operation_id),
        traceparent: context.traceparent.clone(),
        deadline,
        hops: 0,
    };
    let mut pauses = 0_usize;
    loop {
        let Ok(outcome) = timeout_at(deadline, attempt(shared, &request, &call)).await else {
            return Err(Error::unavailable("the budget was spent on one attempt"));
        };
        let reason = match outcome {
            ControlFlow::Break(answer) => return conclude(answer),
            ControlFlow::Continue(Attempt::Overloaded) => return Err(Error::unavailable("overloaded")),
            ControlFlow::Continue(Attempt::Moved) if call.hops < HOPS_MAX => {
                call.hops += 1;
                shared.metrics.router.hop();
                continue;
            }
            ControlFlow::Continue(Attempt::Moved) => "the shard keeps moving",
            ControlFlow::Continue(Attempt::Nobody(reason)) => reason,
        };
        let pause_ms = PAUSES_MS[pauses.min(PAUSES_MS.len() - 1)];
        let jittered = rand::rng().random_range(pause_ms / 2..=pause_ms + pause_ms / 2);
        let resume_at = Instant::now() + Duration::from_millis(jittered);
        if resume_at >= deadline {
            return Err(Error::unavailable(reason));
        }
        tokio::time::sleep_until(resume_at).await;
        call.hops = 0;
        pauses += 1;
        shared.metrics.router.retry();
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
) -> ControlFlow<Result<Answer, Error>, Attempt> {
    let (service, shard) = request.shard();
    if shared.shards.get(service, shard).is_some() {
        shared.metrics.router.here();
        return after_dispatch(shared, dispatch(shared, request.clone(), call.deadline).await).await;
    }
    let map = shared.map();
    let Some(owner) = map
        .reachable_owner(service, shard)
        .filter(|owner| *owner != shared.node_id)
    else {
        shared.refresh_map().await;
        return ControlFlow::Continue(Attempt::Nobody("the shard has no owner"));
    };
    let budget = call.deadline.saturating_duration_since(Instant::now());
    let mut header = header(&map, call, service, shard, budget);
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
    drop(map);
    shared.metrics.router.elsewhere();
    tokio::select! {
        answer = ask(shared, owner, &header, request, budget).instrument(span) => after_call(shared, answer).await,
        // An owner that is paused or cut off does not answer; it need not be waited for once it has
        // lost the shard. Should it have done the work, the operation tells its successor.
        () = shared.ownership_changed(service, shard, owner) => ControlFlow::Continue(Attempt::Moved),
    }
}

async fn after_dispatch(shared: &Shared, outcome: Outcome) -> ControlFlow<Result<Answer, Error>, Attempt> {
    match outcome {
        Ok(answer) => ControlFlow::Break(Ok(answer)),
        Err(Fault::NotOwner { .. }) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Attempt::Nobody("this node has lost the shard"))
        }
        Err(Fault::Draining) => ControlFlow::Continue(Attempt::Nobody("the shard is being handed over")),
        Err(Fault::Lost) => ControlFlow::Continue(Attempt::Nobody("the entity was lost")),
        Err(Fault::Conflict) => ControlFlow::Continue(Attempt::Nobody("the entity decided on an old state")),
        Err(Fault::Overloaded) => ControlFlow::Continue(Attempt::Overloaded),
        Err(Fault::Store(error)) => match Error::from(error) {
            Error::Unavailable { reason, .. } => ControlFlow::Continue(Attempt::Nobody(reason)),
            error => ControlFlow::Break(Err(error)),
        },
    }
}

async fn after_call(
    shared: &Shared,
    answer: Result<Answer, CallError>,
) -> ControlFlow<Result<Answer, Error>, Attempt> {
    match answer {
        Ok(answer) => ControlFlow::Break(Ok(answer)),
        Err(CallError::Remote(RemoteError::NotOwner { .. })) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Attempt::Moved)
        }
        Err(CallError::Remote(RemoteError::Overloaded) | CallError::Link(LinkError::Overloaded)) => {
            ControlFlow::Continue(Attempt::Overloaded)
        }
        Err(CallError::Remote(RemoteError::Draining)) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Attempt::Nobody("the shard is being handed over"))
        }
        Err(CallError::Remote(RemoteError::Deadline | RemoteError::Internal)) => {
            ControlFlow::Continue(Attempt::Nobody("the owner failed"))
        }
        Err(CallError::Link(_)) => {
            shared.refresh_map().await;
            ControlFlow::Continue(Attempt::Nobody("the owner cannot be reached"))
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
}

/// Asks another node that owns the request's shard, once, and leaves it to the caller to go on.
pub(crate) async fn ask_once(
    shared: &Shared,
    request: &Request,
    budget: Duration,
) -> Result<Answer, CallError> {
    let (service, shard) = request.shard();
    let (owner, header) = {
        let map = shared.map();
        let owner = map
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
        (owner, header(&map, &call, service, shard, budget))
    };
    ask(shared, owner, &header, request, budget).await
}

fn header(map: &ShardMap, call: &Call, service: Service, shard: ShardId, budget: Duration) -> Header {
    Header {
        message_id: call.message_id,
        operation_id: call.operation_id,
        traceparent: call.traceparent.clone(),
        budget_ms: u32::try_from(budget.as_millis()).unwrap_or(u32::MAX),
        hops: call.hops,
        map_version: map.version(),
        service: service_number(service),
        shard: shard.0,
        epoch: map.ownership(service, shard).epoch,
    }
}

async fn ask(
    shared: &Shared,
    owner: NodeId,
    header: &Header,
    request: &Request,
    budget: Duration,
) -> Result<Answer, CallError> {
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
