//! Runtimes that end with the work they were made for.

use std::future::Future;
use std::time::Duration;

/// How long threads that are still busy may delay the end of the process.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// Runs `work` on this thread alone: enough for a command that waits more than
/// it computes.
pub fn on_this_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN);
    done
}

/// Runs `work` with as many threads as there are cores: for a node.
pub fn on_all_cores<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN);
    done
}
