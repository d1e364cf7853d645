//! Working on tasks: what consumers do outside of the database.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use holdfast_domain::{Email, OrderId};
use holdfast_store::{ConsumerTask, EventRecord, StoreError};

use super::{
    Consumer, Consumers, Sending,
    decision::{Failure, Next, next},
    order_mail, stock_alerts, told_dead,
    wording::Draft,
};
use crate::{
    mail::{CONNECTIONS, Mail},
    node::Shared,
};

/// How often tasks are looked for that were not made here: put off, tried again by hand, or left
/// behind by a lost node.
const POLL: Duration = Duration::from_secs(1);
/// How much longer than the work on some tasks the rest after it is: they share the database, and the
/// spool its disk, with orders.
const REST: u32 = 4;
/// The longest such rest: a mail relay that takes its time is no load.
const REST_MAX: Duration = Duration::from_millis(50);
/// How long a task's reads and its end may take, besides the mail.
const HOLD_MARGIN: Duration = Duration::from_secs(30);
/// Tasks that are worked on at once: one for each connection to the mail relay.
const AT_ONCE: u32 = CONNECTIONS;

/// Works on the tasks of the consumers whose services this node carries, until the node ends.
pub(crate) async fn work(shared: &Shared) {
    let consumers = &shared.consumers;
    let names: Vec<&str> = Consumer::ALL
        .into_iter()
        .filter(|consumer| {
            let service = consumer.service().as_str();
            shared.options.roles.iter().any(|role| role == service)
        })
        .map(Consumer::name)
        .collect();
    let Some(sending) = consumers.mail.as_ref().filter(|_| !names.is_empty()) else {
        return;
    };
    loop {
        let began = Instant::now();
        let working = consumers.working.lock().await;
        let found = if shared.is_serving() && !shared.is_draining() {
            consumers.work_on_some(sending, &names).await
        } else {
            0
        };
        drop(working);
        if found == 0 {
            tokio::select! {
                () = consumers.made.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        } else {
            // Nobody waits for mail as they wait for an answer.
            tokio::time::sleep((began.elapsed() * REST).min(REST_MAX)).await;
        }
    }
}

impl Consumers {
    /// Takes the tasks that are due, up to a bound, and works on them; returns how many.
    async fn work_on_some(&self, sending: &Sending, names: &[&str]) -> usize {
        let hold = sending.mailer.limit() + HOLD_MARGIN;
        let taken = self
            .store
            .consumer_tasks_take(self.node_id, names, hold, AT_ONCE)
            .await;
        let tasks = match taken {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no look for the consumers' tasks"
                );
                return 0;
            }
        };
        join_all(tasks.iter().map(|task| self.attempt(sending, task))).await;
        tasks.len()
    }

    /// Makes one attempt at a task, and notes how it went.
    async fn attempt(&self, sending: &Sending, task: &ConsumerTask) {
        let attempt = &task.attempt;
        let outcome = match self.try_task(sending, task).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // That says nothing about the task. It is due again when it was held for long enough.
                tracing::debug!(
                    event = %attempt.event_id,
                    error = &error as &dyn std::error::Error,
                    "a consumer's task waits for the database"
                );
                return;
            }
        };
        let noted = match next(outcome, attempt.number, &sending.options, rand::random()) {
            Next::Done => self.store.consumer_task_done(attempt).await,
            Next::Again(why, pause) => {
                tracing::debug!(
                    consumer = attempt.consumer,
                    event = %attempt.event_id,
                    attempt = attempt.number,
                    reason = why,
                    "a consumer's task is put off"
                );
                let noted = self.store.consumer_task_failed(attempt, &why, pause).await;
                noted.map(drop)
            }
            Next::Dead(why) => {
                if let Ok(record) = task.event() {
                    told_dead(&attempt.consumer, &record, &why);
                }
                self.store.consumer_task_dead(attempt, &why).await.map(drop)
            }
        };
        if let Err(error) = noted {
            tracing::debug!(
                event = %attempt.event_id,
                error = &error as &dyn std::error::Error,
                "how a consumer's task went could not be noted"
            );
        }
    }

    /// Does what a task asks for.
    ///
    /// # Errors
    /// The database could not be reached.
    async fn try_task(
        &self,
        sending: &Sending,
        task: &ConsumerTask,
    ) -> Result<Result<(), Failure>, StoreError> {
        // An attempt that never came to its end was counted when it began.
        if task.attempt.number > sending.options.attempts {
            return Ok(Err(Failure::ForGood("no attempt came to an end".to_owned())));
        }
        let record = match task.event() {
            Ok(record) => record,
            Err(error) => return Ok(Err(Failure::ForGood(error.to_string()))),
        };
        let written = match Consumer::of_name(&task.attempt.consumer) {
            Some(Consumer::OrderMail) => self.order_mail(&record).await,
            Some(Consumer::StockAlerts) => self.stock_mail(&record).await,
            None => Ok(Err("there is no such consumer".to_owned())),
        };
        let (to, draft) = match written {
            Ok(Ok(written)) => written,
            Ok(Err(why)) => return Ok(Err(Failure::ForGood(why))),
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => return Ok(Err(Failure::ForNow(error.to_string()))),
        };
        let mail = Mail {
            id: format!("{}.{}", record.event.id, task.attempt.consumer),
            to,
            subject: draft.subject,
            body: draft.body,
            at: record.event.at,
        };
        Ok(sending.mailer.send(&mail).await.map_err(|not_taken| {
            if not_taken.for_good {
                Failure::ForGood(not_taken.reason)
            } else {
                Failure::ForNow(not_taken.reason)
            }
        }))
    }

    async fn order_mail(&self, record: &EventRecord) -> Result<Result<(Email, Draft), String>, StoreError> {
        let Some(found) = self.store.order_record(OrderId(record.event.subject)).await? else {
            return Ok(Err("there is no such order".to_owned()));
        };
        let Some(customer) = self.store.user(found.order.customer_id).await? else {
            return Ok(Err("the order's customer has no account".to_owned()));
        };
        let draft = order_mail::draft(&record.event, &found.order, &customer);
        Ok(draft.map(|draft| (customer.email, draft)))
    }

    async fn stock_mail(&self, record: &EventRecord) -> Result<Result<(Email, Draft), String>, StoreError> {
        let alert = match stock_alerts::alert(&record.event) {
            Ok(alert) => alert,
            Err(why) => return Ok(Err(why)),
        };
        // Kept when the event was taken in, unless it was a dead letter then.
        self.store.stock_alert_record(&alert).await?;
        let Some(found) = self.store.product(alert.product_id).await? else {
            return Ok(Err("there is no such product".to_owned()));
        };
        let Some(seller) = self.store.user(found.product.seller_id).await? else {
            return Ok(Err("the product's seller has no account".to_owned()));
        };
        let draft = stock_alerts::draft(&alert, &found.product, &seller);
        Ok(Ok((seller.email, draft)))
    }
}
