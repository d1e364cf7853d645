//! An answer's body, until whose end its request is in progress.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Frame, SizeHint};

use super::watch::Work;

/// A body that keeps its connection from being taken for an idle one.
pub(super) struct Answering<B> {
    body: B,
    _work: Work,
}

impl<B> Answering<B> {
    /// Joins an answer's body and what notes that its request is in progress.
    pub(super) fn new(body: B, work: Work) -> Self {
        Self { body, _work: work }
    }
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
