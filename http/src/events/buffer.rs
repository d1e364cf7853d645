//! What waits for a client to take it: bounded in bytes, since an event may be as large as a page of
//! others.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// Chunks that wait at most.
const CHUNKS: usize = 16;
/// Bytes that wait at most; a larger chunk waits alone.
const BYTES: u32 = 64 << 10;

type Waiting = (Bytes, OwnedSemaphorePermit);

/// Makes an empty buffer.
pub(super) fn buffer() -> (Filling, Draining) {
    let (chunks, taken) = mpsc::channel(CHUNKS);
    let room = Arc::new(Semaphore::new(BYTES as usize));
    (Filling { chunks, room }, Draining(taken))
}

/// The end into which chunks go.
#[derive(Clone)]
pub(super) struct Filling {
    chunks: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// The chunk was not taken: nobody is there, or it took too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken;

impl Filling {
    /// Puts a chunk in, as soon as there is room; not at all if that takes longer than `patience`.
    pub(super) async fn put(&self, chunk: Bytes, patience: Duration) -> Result<(), NotTaken> {
        let put = async {
            let bytes = u32::try_from(chunk.len()).map_or(BYTES, |bytes| bytes.min(BYTES));
            let room = self.room.clone().acquire_many_owned(bytes).await.ok()?;
            self.chunks.send((chunk, room)).await.ok()
        };
        timeout(patience, put).await.ok().flatten().ok_or(NotTaken)
    }

    /// Waits until nobody takes chunks any more.
    pub(super) async fn abandoned(&self) {
        self.chunks.closed().await;
    }
}

/// The end from which the client takes them.
pub(super) struct Draining(mpsc::Receiver<Waiting>);

impl Draining {
    /// Takes the next chunk, which no longer counts as waiting then; `None`: there will be none.
    pub(super) async fn take(&mut self) -> Option<Bytes> {
        Some(self.0.recv().await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_makes_no_more_than_the_bound_wait() {
        let (filling, mut draining) = buffer();
        let chunk = || Bytes::from(vec![b'x'; BYTES as usize / 2]);
        for _ in 0..2 {
            assert_eq!(filling.put(chunk(), LONG).await, Ok(()));
        }
        assert_eq!(filling.put(chunk(), LONG).await, Err(NotTaken));
        assert_eq!(draining.take().await, Some(chunk()));
        assert_eq!(filling.put(chunk(), LONG).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_is_larger_than_the_bound_waits_alone() {
        let (filling, mut draining) = buffer();
        let large = Bytes::from(vec![b'x'; 3 * BYTES as usize]);
        assert_eq!(filling.put(large.clone(), LONG).await, Ok(()));
        assert_eq!(filling.put(Bytes::from_static(b"y"), LONG).await, Err(NotTaken));
        assert_eq!(draining.take().await, Some(large));
        assert_eq!(filling.put(Bytes::from_static(b"y"), LONG).await, Ok(()));
        drop(draining);
        filling.abandoned().await;
        assert_eq!(filling.put(Bytes::from_static(b"z"), LONG).await, Err(NotTaken));
    }
}
