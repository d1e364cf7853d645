//! What a process measures of itself, beside what its node does.

use holdfast_actors::metrics::{Kind, Registrar, Sample};
use prometheus::{Registry, Result};
use tokio::runtime::Handle;

/// Adds what the process measures to a node's registry.
///
/// `superseded` is how many incarnations this process has run before that others declared dead. Must be
/// called on the node's runtime, of which it tells.
///
/// # Errors
/// It was called for this registry before.
pub fn register(registry: &Registry, superseded: u64) -> Result<()> {
    let registrar = Registrar::new(registry);
    registrar.sampled(
        Kind::Gauge,
        "holdfast_build_info",
        "What this program was built of; always 1.",
        &["version", "commit", "rustc"],
        || {
            let labels = [
                env!("CARGO_PKG_VERSION"),
                env!("HOLDFAST_COMMIT"),
                env!("HOLDFAST_RUSTC"),
            ];
            vec![Sample::labelled(labels, 1.0)]
        },
    )?;
    registrar
        .counter(
            "holdfast_incarnations_superseded_total",
            "Incarnations that this process ran and others declared dead.",
        )?
        .inc_by(superseded);
    runtime(registrar)?;
    process(registry)
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 of anything")]
fn runtime(registrar: Registrar<'_>) -> Result<()> {
    let gauge = |name, help, look: fn(&Handle) -> usize| {
        let runtime = Handle::current();
        let look_up = move || vec![Sample::of(look(&runtime) as f64)];
        registrar.sampled(Kind::Gauge, name, help, &[], look_up)
    };
    gauge("holdfast_runtime_workers", "Threads that run tasks.", |runtime| {
        runtime.metrics().num_workers()
    })?;
    gauge(
        "holdfast_runtime_tasks",
        "Tasks that have not ended.",
        |runtime| runtime.metrics().num_alive_tasks(),
    )?;
    gauge(
        "holdfast_runtime_queued_tasks",
        "Tasks that wait in the queue that all threads share.",
        |runtime| runtime.metrics().global_queue_depth(),
    )
}

#[cfg(target_os = "linux")]
fn process(registry: &Registry) -> Result<()> {
    let of_this = prometheus::process_collector::ProcessCollector::for_self();
    registry.register(Box::new(of_this))
}

/// Elsewhere there is no `/proc` to read.
#[cfg(not(target_os = "linux"))]
fn process(_: &Registry) -> Result<()> {
    Ok(())
}
