//! What there is to log and to trace: what the operator asks for, and our own
//! spans always, since they carry the traces whatever is logged.
//!
//! One filter stands before all layers, instead of one in each: whoever asks
//! `tracing::enabled!` and then logs nothing, as sqlx does, leaves layers'
//! filters in a state in which the next span of that thread is lost to them.

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer};

/// What our crates' names begin with.
const OURS: &str = "holdfast_";
/// The level of the spans that make a trace.
const SPANS: Level = Level::INFO;

/// The one filter of a node.
#[derive(Debug)]
pub(super) struct Admission {
    logged: EnvFilter,
}

impl Admission {
    /// Admits what `logged` does, and our own spans.
    pub(super) fn of(logged: EnvFilter) -> Self {
        Self { logged }
    }
}

fn makes_a_trace(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= SPANS && metadata.target().starts_with(OURS)
}

impl<S: Subscriber> Layer<S> for Admission {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The other filter has to hear of every callsite: it may have something to say of its fields.
        let logged = Layer::<S>::register_callsite(&self.logged, metadata);
        if makes_a_trace(metadata) {
            return Interest::always();
        }
        logged
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        makes_a_trace(metadata) || Layer::enabled(&self.logged, metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let logged = Layer::<S>::max_level_hint(&self.logged)?;
        Some(logged.max(LevelFilter::from_level(SPANS)))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Layer::on_new_span(&self.logged, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::on_record(&self.logged, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::on_enter(&self.logged, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::on_exit(&self.logged, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::on_close(&self.logged, id, context);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::{Admission, EnvFilter};

    #[test]
    fn spans_make_traces_whatever_is_logged() {
        for logged in ["off", "error", "info,holdfast_http=debug"] {
            let filter = EnvFilter::try_new(logged).unwrap();
            let subscriber = tracing_subscriber::registry().with(Admission::of(filter));
            tracing::subscriber::with_default(subscriber, || {
                // As sqlx does before a statement that it does not log.
                let _ = tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG);
                let ours = tracing::info_span!(target: "holdfast_actors::lane", "commit");
                assert!(!ours.is_disabled(), "{logged}");
                let theirs = tracing::debug_span!(target: "ractor", "actor");
                assert!(theirs.is_disabled(), "{logged}");
                assert_eq!(
                    tracing::enabled!(target: "holdfast_actors", tracing::Level::INFO),
                    logged.starts_with("info")
                );
            });
        }
    }
}
