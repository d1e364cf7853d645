//! What a route leaves of a request's body.
//!
//! A connection that is closed while bytes of a body are on their way is reset, and the client may
//! never read the answer that says why. So what a route does not read is read here and thrown away,
//! within bounds, before its answer is sent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Buf, Frame, SizeHint};

/// The most bytes that are thrown away.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The longest time for which bytes are thrown away.
const PATIENCE: Duration = Duration::from_secs(2);

type Slot<B> = Arc<Mutex<Option<B>>>;

/// A body that comes back when its reader drops it before its end.
pub(super) struct Lent<B> {
    body: Option<B>,
    slot: Option<Slot<B>>,
}

/// Where a body comes back to.
pub(super) struct Leftover<B>(Slot<B>);

/// Lends a body to a route; one that is empty need not come back.
pub(super) fn lend<B: Body>(body: B) -> (Lent<B>, Option<Leftover<B>>) {
    let slot = (!body.is_end_stream()).then(Slot::default);
    let leftover = slot.clone().map(Leftover);
    (
        Lent {
            body: Some(body),
            slot,
        },
        leftover,
    )
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body + Unpin> Leftover<B> {
    /// Reads what is left of the body, within bounds.
    pub(super) async fn discard(self) {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = body.filter(|body| !body.is_end_stream()) else {
            return;
        };
        let all = async {
            let mut read = 0_usize;
            while read < MAX_BYTES {
                match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, Buf::remaining),
                    Some(Err(_)) | None => return,
                }
            }
        };
        // What is not here by then is not waited for.
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}
