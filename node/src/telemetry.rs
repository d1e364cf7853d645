//! Logs: readable text on a terminal, JSON lines everywhere else. Traces: to a
//! collector, if one is configured.

mod admission;
mod fields;
mod traces;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use traces::Traces;

use crate::config::TelemetrySettings;
use admission::Admission;
use fields::SpanFields;

/// The variable that filters: `info`, `holdfast_actors=debug`, and so on.
const VARIABLE: &str = "HOLDFAST_LOG";

/// Sends this process's logs to standard error, `default` of them unless the
/// environment says otherwise.
///
/// # Errors
/// A filter that does not parse is refused rather than ignored.
pub fn init(default: &str) -> Result<(), ParseError> {
    // A second initialisation, as by two tests in one process, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(filter(default)?)
        .with(logs())
        .try_init();
    Ok(())
}

/// Does the same for the node `name`, whose requests belong to traces; these
/// are exported as `settings` say, until the returned value is dropped.
///
/// # Errors
/// As [`init`]; or the exporter cannot be set up.
pub fn init_node(default: &str, settings: &TelemetrySettings, name: &str) -> anyhow::Result<Traces> {
    let filter = filter(default)?;
    let traces = Traces::start(settings, name)?;
    let _ = tracing_subscriber::registry()
        .with(Admission::of(filter))
        .with(logs())
        .with(traces.layer())
        .try_init();
    Ok(traces)
}

fn filter(default: &str) -> Result<EnvFilter, ParseError> {
    match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter),
        _ => EnvFilter::try_new(default),
    }
}

fn logs<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let logs = fmt::layer().with_writer(io::stderr);
    if io::stderr().is_terminal() {
        logs.compact().boxed()
    } else {
        logs.json()
            .flatten_event(true)
            .fmt_fields(SpanFields::default())
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use holdfast_actors::trace::TraceParent;
    use tracing::subscriber::with_default;

    use super::*;

    #[test]
    fn spans_have_an_identity_though_nothing_is_exported() {
        let traces = Traces::start(&TelemetrySettings::default(), "n1").unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(Admission::of(EnvFilter::new("error")))
            .with(logs())
            .with(traces.layer());
        with_default(subscriber, || {
            let outer = tracing::info_span!("outer");
            let inner = outer.in_scope(|| tracing::info_span!("inner"));
            let trace = |span| TraceParent::of(span).unwrap().trace;
            assert_eq!(trace(&outer), trace(&inner));
        });
    }
}
