//! An identity for every span, where nobody collects them.

use rand::random;
use tracing::{
    Dispatch, Span, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Registry,
    layer::{Context, Layer},
    registry::LookupSpan,
};

use super::TraceParent;

/// A layer that gives spans a place in a trace and nothing else: events and logs name the trace, and
/// nothing is gathered for an export.
///
/// It stands directly or indirectly upon a [`Registry`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Identities;

impl<S> Layer<S> for Identities
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let parent = span.parent();
        let parent = parent.and_then(|parent| parent.extensions().get::<TraceParent>().copied());
        let identity = TraceParent {
            trace: parent.map_or_else(random, |parent| parent.trace),
            span: random(),
            flags: 0,
        };
        span.extensions_mut().replace(identity);
    }
}

/// Returns the identity that the layer gave to `span`.
pub(super) fn of(span: &Span) -> Option<TraceParent> {
    in_registry(span, |registry, id| {
        registry.span(id)?.extensions().get::<TraceParent>().copied()
    })
}

/// Makes `span` a part of the trace of `parent`; tells whether the layer gave it an identity.
pub(super) fn adopt(span: &Span, parent: TraceParent) -> bool {
    let adopted = in_registry(span, |registry, id| {
        let span = registry.span(id)?;
        let mut extensions = span.extensions_mut();
        extensions.get_mut::<TraceParent>()?.trace = parent.trace;
        Some(())
    });
    adopted.is_some()
}

fn in_registry<T>(span: &Span, act: impl FnOnce(&Registry, &Id) -> Option<T>) -> Option<T> {
    let act = |(id, dispatch): (&Id, &Dispatch)| act(dispatch.downcast_ref::<Registry>()?, id);
    span.with_subscriber(act)?
}

#[cfg(test)]
mod tests {
    use tracing::{info_span, subscriber::with_default};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const GIVEN: TraceParent = TraceParent {
        trace: [7; 16],
        span: [8; 8],
        flags: 1,
    };

    fn identified(act: impl FnOnce()) {
        with_default(tracing_subscriber::registry().with(Identities), act);
    }

    fn identity(span: &Span) -> TraceParent {
        TraceParent::of(span).expect("an identity")
    }

    #[test]
    fn a_span_within_another_belongs_to_its_trace() {
        identified(|| {
            let outer = info_span!("outer");
            let inner = outer.in_scope(|| info_span!("inner"));
            assert_eq!(identity(&outer).trace, identity(&inner).trace);
            assert_ne!(identity(&outer).span, identity(&inner).span);
        });
    }

    #[test]
    fn a_span_by_itself_begins_a_trace() {
        identified(|| {
            let (one, other) = (identity(&info_span!("one")), identity(&info_span!("other")));
            assert_ne!(one.trace, other.trace);
            assert_eq!(TraceParent::parse(&one.to_string()), Some(one));
        });
    }

    #[test]
    fn a_span_that_is_adopted_goes_on_with_the_trace_of_its_caller() {
        identified(|| {
            let span = info_span!("served");
            GIVEN.adopt(&span);
            let ours = identity(&span);
            assert_eq!(ours.trace, GIVEN.trace);
            assert_ne!(ours.span, GIVEN.span);
            let inner = span.in_scope(|| info_span!("inner"));
            assert_eq!(identity(&inner).trace, GIVEN.trace);
        });
    }

    #[test]
    fn a_span_has_none_without_the_layer() {
        with_default(tracing_subscriber::registry(), || {
            let span = info_span!("alone");
            GIVEN.adopt(&span);
            assert_eq!(TraceParent::of(&span), None);
        });
    }
}
