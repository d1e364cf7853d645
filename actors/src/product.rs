//! Products: one actor for each, which holds its catalogue entry and its stock.
//!
//! Stock is held twice: as committed, and as *promised* - committed less what has been promised to
//! intents on their way through the lane. A promise (a [`Hold`]) is accepted or refused on the
//! promised count, at once and without the database, so that a thousand buyers of one product share
//! a handful of commits.
//!
//! *Invariant* (the output gate): nobody is told of a state that is not durable. An acceptance waits
//! for its own commit. A refusal waits too, if units are merely promised: it is decided when the
//! promises are kept or broken, for only then is "sold out" true.

mod catalogue;
mod hold;
pub(crate) mod settle;
pub(crate) mod stock;

use std::sync::Arc;

use holdfast_domain::{Product, ProductId, Refusal, StockLevel};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tracing::Instrument;

pub(crate) use hold::{Hold, HoldAnswer, HoldId, Holds, Shelf, Wanted, want};

use crate::{
    cache::Part,
    command::{Changed, ProductCommand, Reply, Reserve, Settle},
    entity::{Context, Outcome, ReplyTo, conclude, done, refused},
    lane,
};

/// What a product receives.
pub(crate) enum ProductMessage {
    /// A request, and where its answer goes.
    Command(Box<ProductCommand>, ReplyTo),
    /// Somebody on this node wants units promised.
    Hold(Wanted, oneshot::Sender<HoldAnswer>),
    /// A promise was kept: these are the counters.
    Kept(HoldId, StockLevel),
    /// A promise was broken: its units are free again.
    Broken(HoldId),
    /// The store disagreed with what this actor believed.
    Distrust,
}

impl ractor::Message for ProductMessage {}

/// A product's actor.
#[derive(Clone)]
pub(crate) struct ProductActor {
    pub(crate) context: Context,
    pub(crate) id: ProductId,
}

/// What a product's actor remembers.
pub(crate) struct State {
    /// Itself, as those who want units see it.
    shelf: Arc<dyn Shelf>,
    /// The product; `None` while there is none.
    known: Option<Known>,
}

struct Known {
    product: Arc<Product>,
    holds: Holds,
}

impl Known {
    /// Returns the versions that are committed.
    fn versions(&self) -> Changed {
        Changed {
            product_id: self.product.id,
            version: self.product.version,
            stock_version: self.holds.committed().version,
        }
    }
}

impl Actor for ProductActor {
    type Msg = ProductMessage;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<ProductMessage>, (): ()) -> Result<State, ActorProcessingErr> {
        // A predecessor's last commits may be on their way: what they leave is what this one knows.
        lane::barrier(&self.context.lane(), self.id).await;
        let found = Box::pin(self.context.shared.store.product(self.id)).await?;
        Ok(State {
            shelf: Arc::new(myself),
            known: found.map(|found| Known {
                product: Arc::new(found.product),
                holds: holds(&self.context, found.stock),
            }),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<ProductMessage>,
        message: ProductMessage,
        State { shelf, known }: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProductMessage::Command(command, reply_to) => {
                return Box::pin(self.run(shelf, known, *command, reply_to)).await;
            }
            ProductMessage::Hold(wanted, answer) => match known {
                Some(known) => known.holds.want(shelf, &known.product, wanted, answer),
                None => {
                    let _ = answer.send(HoldAnswer::NoSuchProduct);
                }
            },
            ProductMessage::Kept(hold, level) => {
                if let Some(known) = known {
                    known.holds.kept(shelf, &known.product, hold, level);
                    self.context.shared.caches.changed(known.versions(), Part::Stock);
                }
            }
            ProductMessage::Broken(hold) => {
                if let Some(known) = known {
                    known.holds.broken(shelf, &known.product, hold);
                }
            }
            ProductMessage::Distrust => return Err("the store disagreed about this product".into()),
        }
        Ok(())
    }
}

impl ProductActor {
    async fn run(
        &self,
        shelf: &Arc<dyn Shelf>,
        known: &mut Option<Known>,
        command: ProductCommand,
        reply_to: ReplyTo,
    ) -> Result<(), ActorProcessingErr> {
        let outcome = match command {
            ProductCommand::Read(_) => read(known.as_ref()),
            ProductCommand::Create(by, new) => catalogue::create(&self.context, known, &by, new).await,
            ProductCommand::Edit(by, _, patch, version) => {
                catalogue::edit(&self.context, known.as_mut(), &by, patch, version).await
            }
            ProductCommand::Archive(by, _, version) => {
                catalogue::archive(&self.context, known.as_mut(), &by, version).await
            }
            // These commit through the lane, which answers through this actor: it must not wait.
            ProductCommand::Adjust(by, _, adjustment) => {
                let (desk, shelf) = (self.context.desk(), Arc::clone(shelf));
                let product = known.as_ref().map(|known| Arc::clone(&known.product));
                let work = async move {
                    let _ = reply_to.send(stock::adjust(&desk, &*shelf, product, &by, adjustment).await);
                };
                tokio::spawn(work.in_current_span());
                return Ok(());
            }
            ProductCommand::SetStock(by, _, target) => {
                let (desk, shelf) = (self.context.desk(), Arc::clone(shelf));
                let found = known
                    .as_ref()
                    .map(|known| (Arc::clone(&known.product), known.holds.committed()));
                let work = async move {
                    let _ = reply_to.send(stock::set(&desk, &*shelf, found, &by, target).await);
                };
                tokio::spawn(work.in_current_span());
                return Ok(());
            }
            ProductCommand::Reserve(reserve) => {
                self.reserve(shelf, reserve, 0, reply_to);
                return Ok(());
            }
            ProductCommand::ReserveAnew(reserve, round) => {
                self.reserve(shelf, reserve, round, reply_to);
                return Ok(());
            }
            ProductCommand::Settle(settle) => {
                self.settle(shelf, settle, 0, reply_to);
                return Ok(());
            }
            ProductCommand::SettleAnew(settle, round) => {
                self.settle(shelf, settle, round, reply_to);
                return Ok(());
            }
        };
        conclude(outcome, reply_to)
    }

    fn reserve(&self, shelf: &Arc<dyn Shelf>, reserve: Reserve, round: u32, reply_to: ReplyTo) {
        let (desk, shelf) = (self.context.desk(), Arc::clone(shelf));
        let work = async move {
            let _ = reply_to.send(stock::reserve(&desk, &*shelf, &reserve, round).await);
        };
        tokio::spawn(work.in_current_span());
    }

    fn settle(&self, shelf: &Arc<dyn Shelf>, settle: Settle, round: u32, reply_to: ReplyTo) {
        let (desk, shelf) = (self.context.desk(), Arc::clone(shelf));
        let work = async move {
            let _ = reply_to.send(settle::handle(&desk, &*shelf, &settle, round).await);
        };
        tokio::spawn(work.in_current_span());
    }
}

/// Makes what a product promises by.
#[cfg_attr(
    not(feature = "fault-points"),
    expect(unused_variables, reason = "only tests leave the output gate open")
)]
fn holds(context: &Context, committed: StockLevel) -> Holds {
    let holds = Holds::new(committed);
    #[cfg(feature = "fault-points")]
    if context.shared.options.open_gate == Some(crate::OpenGate::Refusals) {
        return holds.ungated();
    }
    holds
}

fn read(known: Option<&Known>) -> Outcome {
    match known {
        Some(known) => done(Reply::ProductWithStock(
            (*known.product).clone(),
            known.holds.committed(),
        )),
        None => refused(Refusal::NotFound),
    }
}
