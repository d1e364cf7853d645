//! Waiting for a condition.

use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `look` finds something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    patiently(PATIENCE, what, look).await
}

/// Waits until `look` finds something, for `patience` at most.
pub(crate) async fn patiently<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < patience, "still waiting that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
