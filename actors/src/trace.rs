//! The trace that work belongs to: W3C trace context, in at the edge, over the link, and to the commit.
//!
//! Spans are those of `tracing`, and messages between local actors carry the sender's by themselves.
//! What is here gives a span its place in a trace that began elsewhere, and names it to others.
//!
//! *Invariant*: a span has an identity only where the process has a subscriber that gives it one: that of
//! `tracing_opentelemetry`, or [`Identities`]. Without it everything works the same and belongs to no trace.

mod identities;

use std::fmt;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use identities::Identities;

/// A place in a trace, as the header `traceparent` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
    /// Whether the caller records the trace, and what later versions add.
    pub flags: u8,
}

impl TraceParent {
    /// Parses `version-trace-span-flags`; later versions may append more fields.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version = hex::<1>(fields.next()?)?[0];
        let trace = hex::<16>(fields.next()?)?;
        let span = hex::<8>(fields.next()?)?;
        let flags = hex::<1>(fields.next()?)?[0];
        let has_more = fields.next().is_some();
        let is_valid = version != 0xff && (version != 0 || !has_more) && trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace, span, flags })
    }

    /// Returns where `span` stands.
    pub fn of(span: &Span) -> Option<Self> {
        identities::of(span).or_else(|| Self::exported(span))
    }

    /// Returns where `span` stands for whoever exports it.
    fn exported(span: &Span) -> Option<Self> {
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Self {
            trace: context.trace_id().to_bytes(),
            span: context.span_id().to_bytes(),
            flags: context.trace_flags().to_u8(),
        })
    }

    /// Returns where the work at hand stands.
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// Makes `span`, which is new, a part of the trace: the work that this place asked for.
    pub fn adopt(self, span: &Span) {
        if !identities::adopt(span, self) {
            // Fails only where spans have no identity, which is as well.
            let _ = span.set_parent(Context::new().with_remote_span_context(self.context()));
        }
    }

    /// Notes beside `span` that it works for this place too.
    pub(crate) fn link(self, span: &Span) {
        span.add_link(self.context());
    }

    /// Returns the trace's id as events and logs have it.
    pub fn trace_id(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace))
    }

    fn context(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace),
            SpanId::from_bytes(self.span),
            TraceFlags::new(self.flags),
            true,
            TraceState::default(),
        )
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = u128::from_be_bytes(self.trace);
        let span = u64::from_be_bytes(self.span);
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Names the trace of the work at hand, for the events that it makes.
pub(crate) fn current_id() -> Option<String> {
    TraceParent::current().map(TraceParent::trace_id)
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
