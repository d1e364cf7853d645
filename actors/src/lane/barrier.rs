//! Who waits until nothing that was submitted about a product's stock is unsettled.

use holdfast_domain::ProductId;
use tokio::sync::oneshot;

use super::queue::LaneQueue;

/// The waiting, each of whom is an actor that has yet to read its product: there are no more than of these.
#[derive(Debug, Default)]
pub(crate) struct Barriers(Vec<(ProductId, oneshot::Sender<()>)>);

impl Barriers {
    /// Has somebody told as soon as nothing about the product is unsettled, which may be so now.
    pub(crate) fn wait<T>(&mut self, product: ProductId, passed: oneshot::Sender<()>, queue: &LaneQueue<T>) {
        if queue.concerns(product) {
            self.0.push((product, passed));
        } else {
            // Fails only if nobody waits any more.
            let _ = passed.send(());
        }
    }

    /// Tells those for whom it is so, once a batch has ended and its callers were told.
    pub(crate) fn release<T>(&mut self, queue: &LaneQueue<T>) {
        for (_, passed) in self.0.extract_if(.., |(product, _)| !queue.concerns(*product)) {
            let _ = passed.send(());
        }
    }
}
