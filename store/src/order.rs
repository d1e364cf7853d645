//! Orders, from the row that holds the customer's key to the work that is left to do.

mod list;
mod record;
mod reservation;
mod save;
mod unfinished;

pub use list::{OrderFilter, OrderScope};
pub use record::{OrderRecord, OrderState};
pub use save::OrderSave;
pub use unfinished::{UnfinishedOrder, UnfinishedWork};
