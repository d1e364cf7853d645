//! The thread on which a node's lane runs, and nothing else.
//!
//! Between two commits Postgres waits for the lane: to hear of the one, and to make the next. Among the
//! requests of a busy node that took a third of the time, for each had its turn first. A thread that
//! sleeps most of the time is woken by the system at once.

use std::{io, sync::mpsc, thread};

use tokio::{
    runtime::{Builder, Handle},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Runs until it is dropped; what has not ended then is dropped soon after.
pub(crate) struct LaneThread {
    runtime: Handle,
    _stop: DropGuard,
}

impl LaneThread {
    /// Starts the thread of the node `name`.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (started, start) = mpsc::sync_channel(1);
        // The runtime is made where it ends: it must not be dropped among others' tasks.
        let run = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                // Fails only if whoever starts it has gone.
                let _ = started.send(Ok(runtime.handle().clone()));
                runtime.block_on(stopped.cancelled());
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        };
        thread::Builder::new().name(format!("lane-{name}")).spawn(run)?;
        let runtime = start.recv().map_err(io::Error::other)??;
        Ok(Self {
            runtime,
            _stop: stop.drop_guard(),
        })
    }

    /// Runs a task on the thread, and all tasks that it spawns.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, thread};

    use super::LaneThread;

    fn name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn tasks_and_what_they_spawn_run_on_the_thread_and_end_with_it() {
        let lane = LaneThread::start("n1").expect("a thread");
        let names = lane.spawn(async { (name(), tokio::spawn(async { name() }).await) });
        let (own, spawned) = names.await.expect("it ends");
        assert_eq!(own.as_deref(), Some("lane-n1"));
        assert_eq!(spawned.expect("it ends"), own);
        let endless = lane.spawn(pending::<()>());
        drop(lane);
        assert!(endless.await.is_err_and(|ended| ended.is_cancelled()));
    }
}
