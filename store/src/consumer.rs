//! Consumers of events: their inboxes, what they have yet to do, and what they could not do.
//!
//! An event is taken in by one transaction: the row of the inbox, an alert if the consumer keeps one,
//! and a task for what cannot be done inside of the database. Taking it in again changes nothing. Tasks
//! are then taken by nodes, one at a time for each thing that something happened to, and end as done or
//! as dead letters.

mod alert;
mod backlog;
mod dead_letter;
mod inbox;
mod letter;
mod stream;
mod task;

pub use alert::StockAlert;
pub use backlog::ConsumerBacklog;
pub use dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterKey};
pub use inbox::{Acceptance, Consequence};
pub use stream::StreamName;
pub use task::{ConsumerTask, TaskAttempt};
