//! Consumers of events: what the shop does by itself when something has happened.
//!
//! Whoever relays events calls [`Consumers::deliver`] with them, at least once and in order for each
//! aggregate. That only *takes them in*, in one transaction with all that they lead to in the
//! database, and so it takes no longer than Postgres does: a mail relay that is slow or away holds up
//! no event. What is to be done outside of the database is a task, which [`worker`] takes up:
//!
//! ```text
//! deliver ---> inbox + alert + task ---> taken by a node ---> mail sent ---> task ended
//!                        |                       |   ^
//!                        |        not taken, for now  `-- a pause that doubles, with jitter
//!                        `--> dead letter <------'  not taken, for good, or too often
//! ```
//!
//! # Invariants
//! - An event leads to its alert once and to its task once, however often it is told: the inbox decides.
//! - Mail is sent *before* its task ends. A node that dies in between leaves the task, and the same
//!   message is sent again under the same `Message-ID`: at least once, and a repeat can be recognised.
//! - Mails about one thing are sent in the order in which it happened, but for dead letters.
//! - Each task ends, as done or as a dead letter: attempts are counted when they begin, so that one
//!   that takes the process with it counts too.

mod decision;
mod order_mail;
mod stock_alerts;
mod wording;
mod worker;

use holdfast_domain::{EventKind, NodeId};
use holdfast_store::{Acceptance, Consequence, EventRecord, Service, Store, StoreError};
use tokio::sync::{Mutex, Notify};

use crate::mail::{MailError, MailOptions, Mailer};

pub(crate) use worker::work;

/// Events that one transaction takes in.
const ACCEPTED_AT_ONCE: usize = 250;

/// The name under which the database knows what NATS has refused.
pub(crate) const NATS: &str = "nats";
/// The names of all of which there may be tasks and dead letters.
pub(crate) const NAMES: [&str; 3] = [Consumer::OrderMail.name(), Consumer::StockAlerts.name(), NATS];

/// Somebody who acts on events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consumer {
    /// Writes to customers about their orders.
    OrderMail,
    /// Keeps alerts about stock, and writes to sellers about them.
    StockAlerts,
}

impl Consumer {
    const ALL: [Self; 2] = [Self::OrderMail, Self::StockAlerts];

    /// Returns the name under which the database knows it.
    const fn name(self) -> &'static str {
        match self {
            Self::OrderMail => "order-mail",
            Self::StockAlerts => "stock-alerts",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|consumer| consumer.name() == name)
    }

    /// Returns the service that it is part of.
    const fn service(self) -> Service {
        match self {
            Self::OrderMail => Service::Orders,
            Self::StockAlerts => Service::Products,
        }
    }

    /// Tells whether it acts at all. Where no mail is sent, a consumer that only writes mail does not.
    const fn acts(self, is_mailing: bool) -> bool {
        match self {
            Self::OrderMail => is_mailing,
            Self::StockAlerts => true,
        }
    }

    /// Tells whether it acts on events of this kind.
    const fn wants(self, kind: EventKind) -> bool {
        match self {
            Self::OrderMail => matches!(
                kind,
                EventKind::OrderPlaced
                    | EventKind::OrderConfirmed
                    | EventKind::OrderCancelled
                    | EventKind::OrderExpired
                    | EventKind::OrderFulfilled
            ),
            Self::StockAlerts => matches!(kind, EventKind::StockLow | EventKind::StockDepleted),
        }
    }
}

/// A node's consumers.
pub(crate) struct Consumers {
    node_id: NodeId,
    store: Store,
    mail: Option<Sending>,
    /// Wakes the worker when a task is made here.
    made: Notify,
    /// Held while tasks are worked on.
    working: Mutex<()>,
}

/// How mail is sent, and how often it is tried.
struct Sending {
    mailer: Mailer,
    options: MailOptions,
}

impl Consumers {
    /// Makes the consumers of a node; without `mail` none is sent.
    pub(crate) fn new(node_id: NodeId, store: Store, mail: Option<&MailOptions>) -> Result<Self, MailError> {
        let mail = mail
            .map(|options| {
                let mailer = Mailer::new(options)?;
                Ok::<_, MailError>(Sending {
                    mailer,
                    options: options.clone(),
                })
            })
            .transpose()?;
        if mail.is_none() {
            tracing::info!("no mail is sent: the settings name neither a mail relay nor a spool");
        }
        Ok(Self {
            node_id,
            store,
            mail,
            made: Notify::new(),
            working: Mutex::new(()),
        })
    }

    /// Takes committed events in, for every consumer that acts on their kinds, in one transaction.
    ///
    /// May be called again for the same events, by any node and at any time within a week; it changes
    /// nothing then. Whatever is wrong with an event itself becomes a dead letter and is `Ok`.
    ///
    /// # Errors
    /// The database did not take them, which says nothing about the events: call again with all.
    pub(crate) async fn deliver(&self, records: &[EventRecord]) -> Result<(), StoreError> {
        let acceptances: Vec<Acceptance<'_>> = records
            .iter()
            .flat_map(|record| {
                Consumer::ALL.map(|consumer| acceptance(consumer, record, self.mail.is_some()))
            })
            .flatten()
            .collect();
        for some in acceptances.chunks(ACCEPTED_AT_ONCE) {
            let news = self.store.consumer_accept(some).await?;
            for accepted in some
                .iter()
                .zip(news)
                .filter_map(|(one, is_news)| is_news.then_some(one))
            {
                match &accepted.consequence {
                    Consequence::Nothing => {}
                    Consequence::Task => self.made.notify_one(),
                    Consequence::Refused(why) => told_dead(accepted.consumer, accepted.event, why),
                }
            }
        }
        Ok(())
    }

    /// Tells whether any of them acts on events of a service.
    pub(crate) fn act_on(&self, service: Service) -> bool {
        Consumer::ALL
            .into_iter()
            .any(|consumer| consumer.service() == service && consumer.acts(self.mail.is_some()))
    }

    /// Waits until no task is being worked on, and keeps it so for as long as the guard lives.
    pub(crate) async fn at_rest(&self) -> impl Drop + '_ {
        self.working.lock().await
    }
}

/// Decides what an event leads to; `None`: the consumer has no use for it.
fn acceptance(consumer: Consumer, record: &EventRecord, is_mailing: bool) -> Option<Acceptance<'_>> {
    if !consumer.acts(is_mailing) || !consumer.wants(record.event.kind) {
        return None;
    }
    let task = if is_mailing {
        Consequence::Task
    } else {
        Consequence::Nothing
    };
    let (alert, consequence) = match consumer {
        Consumer::OrderMail => (None, task),
        Consumer::StockAlerts => match stock_alerts::alert(&record.event) {
            Ok(alert) => (Some(alert), task),
            Err(why) => (None, Consequence::Refused(why)),
        },
    };
    Some(Acceptance {
        consumer: consumer.name(),
        event: record,
        alert,
        consequence,
    })
}

/// Tells operators of a dead letter, without what it says.
pub(crate) fn told_dead(consumer: &str, record: &EventRecord, why: &str) {
    let event = &record.event;
    tracing::warn!(
        consumer,
        event = %event.id,
        kind = event.kind.as_str(),
        reason = why,
        "an event became a dead letter"
    );
}

#[cfg(test)]
mod tests;
