//! What an order can be asked.

use holdfast_domain::{
    Operation, OrderId, PaymentId, PaymentProvider,
    order::{NewFulfilment, NewOrder, OrderPatch, PaymentReport},
};
use serde::{Deserialize, Serialize};

use super::By;
use crate::wire::OLDEST_VERSION;

/// A request to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum OrderCommand {
    /// Places it.
    Place(By, NewOrder),
    /// Edits the address or the note, based on a version.
    Edit(By, OrderId, OrderPatch, i64),
    /// Pays it.
    Pay(By, OrderId, Payable),
    /// Calls it off.
    Cancel(By, OrderId, Option<String>),
    /// Ships units of it.
    Fulfil(By, OrderId, NewFulfilment),
    /// Goes on with what a lost owner or a lost message left undone.
    Resume(OrderId),
    /// Tells what a payment's provider reports.
    Report(Operation, OrderId, PaymentReport),
    /// Pays it by a payment that its provider knows by this name already.
    PayNamed(By, OrderId, Payable, String),
}

impl OrderCommand {
    /// Returns the order that is asked.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::Place(_, new) => new.id,
            Self::Edit(_, id, ..)
            | Self::Pay(_, id, _)
            | Self::PayNamed(_, id, ..)
            | Self::Cancel(_, id, _)
            | Self::Fulfil(_, id, _)
            | Self::Report(_, id, _)
            | Self::Resume(id) => *id,
        }
    }
}

impl OrderCommand {
    /// Returns the wire version that it came with.
    pub(crate) fn since(&self) -> u8 {
        match self {
            Self::PayNamed(..) => 2,
            Self::Place(..)
            | Self::Edit(..)
            | Self::Pay(..)
            | Self::Cancel(..)
            | Self::Fulfil(..)
            | Self::Resume(_)
            | Self::Report(..) => OLDEST_VERSION,
        }
    }

    /// Returns the operation under which the request is remembered.
    pub fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Place(by, _)
            | Self::Edit(by, ..)
            | Self::Pay(by, ..)
            | Self::PayNamed(by, ..)
            | Self::Cancel(by, ..)
            | Self::Fulfil(by, ..) => Some(&by.operation),
            Self::Report(operation, ..) => Some(operation),
            Self::Resume(_) => None,
        }
    }
}

/// A payment to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payable {
    /// The payment's id.
    pub id: PaymentId,
    /// Who moves the money.
    pub provider: PaymentProvider,
    /// The provider's own name for how.
    pub method: String,
}
