//! A product's actor in a process: its mailbox, and the promises of production behind it.

use std::sync::Arc;

use holdfast_domain::{Product, ProductId, StockLevel};
use holdfast_store::Lease;
use tokio::sync::{mpsc, oneshot};

use super::Process;
use crate::{
    lane::LaneMessage,
    product::{HoldAnswer, HoldId, Shelf, Wanted},
};

enum Message {
    Want(Wanted, oneshot::Sender<HoldAnswer>),
    Kept(HoldId, StockLevel),
    Broken(HoldId),
    Distrust,
    Show(oneshot::Sender<Option<Arc<Product>>>),
    End,
}

/// Where a product's actor is reached.
#[derive(Clone)]
pub(super) struct Shelved {
    pub(super) lease: Lease,
    mailbox: mpsc::UnboundedSender<Message>,
}

// Every send fails only if the actor is gone.
impl Shelf for Shelved {
    fn want(&self, wanted: Wanted, answer: oneshot::Sender<HoldAnswer>) -> bool {
        self.mailbox.send(Message::Want(wanted, answer)).is_ok()
    }

    fn kept(&self, hold: HoldId, level: StockLevel) {
        let _ = self.mailbox.send(Message::Kept(hold, level));
    }

    fn broken(&self, hold: HoldId) {
        let _ = self.mailbox.send(Message::Broken(hold));
    }

    fn distrust(&self) {
        let _ = self.mailbox.send(Message::Distrust);
    }
}

impl Shelved {
    /// Asks for the product as it stands in the catalogue.
    pub(super) async fn show(&self) -> Option<Option<Arc<Product>>> {
        let (answer, shown) = oneshot::channel();
        self.mailbox.send(Message::Show(answer)).ok()?;
        shown.await.ok()
    }

    /// Lets the actor end, once it has read what was sent before.
    pub(super) fn end(&self) {
        let _ = self.mailbox.send(Message::End);
    }
}

impl Process {
    /// Returns a product's actor, started from the database if need be.
    pub(super) fn shelf(self: &Arc<Self>, lease: Lease, id: ProductId) -> Shelved {
        let mut products = self.products.lock();
        if let Some(found) = products.get(&id).filter(|found| found.lease == lease) {
            return found.clone();
        }
        let (mailbox, messages) = mpsc::unbounded_channel();
        let shelved = Shelved { lease, mailbox };
        if let Some(before) = products.insert(id, shelved.clone()) {
            before.end();
        }
        let (process, actor) = (Arc::clone(self), shelved.clone());
        self.spawn(async move {
            process.act(id, &actor, messages).await;
            let is_actor = |found: &Shelved| found.mailbox.same_channel(&actor.mailbox);
            let mut products = process.products.lock();
            if products.get(&id).is_some_and(is_actor) {
                products.remove(&id);
            }
        });
        shelved
    }

    async fn act(&self, id: ProductId, actor: &Shelved, mut messages: mpsc::UnboundedReceiver<Message>) {
        // A predecessor's last commits may be on their way: what they leave is what this one knows.
        let (passed, passing) = oneshot::channel();
        if self.lane.send(LaneMessage::Barrier(id, passed)).is_err() || passing.await.is_err() {
            return;
        }
        let Ok(found) = self
            .world
            .database
            .ask(self.node, move |model, _| model.product(id))
            .await
        else {
            return;
        };
        if let Some(found) = &found {
            self.world.database.heard(id, found.stock.version);
        }
        let shelf: Arc<dyn Shelf> = Arc::new(actor.clone());
        let mut known = found.map(|found| (Arc::new(found.product), self.world.holds(found.stock)));
        while let Some(message) = messages.recv().await {
            match (message, &mut known) {
                (Message::Want(wanted, answer), Some((product, holds))) => {
                    holds.want(&shelf, product, wanted, answer);
                }
                (Message::Want(_, answer), None) => {
                    let _ = answer.send(HoldAnswer::NoSuchProduct);
                }
                (Message::Kept(hold, level), Some((product, holds))) => {
                    holds.kept(&shelf, product, hold, level);
                }
                (Message::Broken(hold), Some((product, holds))) => holds.broken(&shelf, product, hold),
                (Message::Kept(..) | Message::Broken(_), None) => {}
                (Message::Show(answer), known) => {
                    let _ = answer.send(known.as_ref().map(|(product, _)| Arc::clone(product)));
                }
                (Message::Distrust, _) => {
                    self.note(|| format!("product {id} is distrusted"));
                    return;
                }
                (Message::End, _) => return,
            }
        }
    }
}
