//! Spans: given an identity, and exported to a collector by OTLP over HTTP.
//!
//! A node gives every request a place in a trace, whether it exports or not:
//! its events and its logs name the trace. Spans that are exported wait in a
//! bounded queue for a thread of their own. A collector that is away costs
//! those that do not fit, and nothing else.

use std::time::Duration;

use anyhow::Context;
use holdfast_actors::trace::Identities;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits,
};
use tracing::Subscriber;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::TelemetrySettings;

/// Spans that wait for export; more are dropped.
const QUEUE_MAX: usize = 4096;
/// Spans in one export.
const EXPORT_MAX: usize = 512;
/// How long spans wait for others to be exported with.
const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// How long one export may take.
const EXPORT_WITHIN: Duration = Duration::from_secs(3);
/// How long the last export may delay the end of the process.
const LAST_WITHIN: Duration = Duration::from_millis(400);
/// Links of one span: a batch has as many as it has intents.
const LINKS_MAX: u32 = 256;

/// The export of a process's spans, if there is one. Dropped, it sends what is left.
#[derive(Debug)]
pub struct Traces {
    provider: Option<SdkTracerProvider>,
}

impl Traces {
    /// Starts to export. Must not be called on a runtime's thread.
    pub(super) fn start(settings: &TelemetrySettings, name: &str) -> anyhow::Result<Self> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(Self { provider: None });
        };
        let resource = Resource::builder_empty()
            .with_service_name("holdfast")
            .with_attributes([
                KeyValue::new("service.instance.id", name.to_owned()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let limits = SpanLimits {
            max_links_per_span: LINKS_MAX,
            ..SpanLimits::default()
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_limits(limits)
            // The id alone decides, not what the caller says that it does: a stranger must not be able
            // to have all its requests recorded, and all nodes have to decide alike.
            .with_sampler(Sampler::TraceIdRatioBased(settings.sample_ratio))
            .with_span_processor(processor(endpoint)?)
            .build();
        Ok(Self {
            provider: Some(provider),
        })
    }

    /// Makes the layer that gives spans their identity, and exports them if
    /// that is asked for.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let Some(provider) = &self.provider else {
            return Identities.boxed();
        };
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("holdfast"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .boxed()
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // Spans are no reason to end late, or in failure.
        let _ = self
            .provider
            .as_ref()
            .map(|provider| provider.shutdown_with_timeout(LAST_WITHIN));
    }
}

fn processor(endpoint: &str) -> anyhow::Result<BatchSpanProcessor> {
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .timeout(EXPORT_WITHIN)
        .build()
        .context("cannot make a client for the collector of traces")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_WITHIN)
        .build()
        .context("cannot set up the export of traces")?;
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_MAX)
        .with_max_export_batch_size(EXPORT_MAX)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    Ok(BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build())
}
