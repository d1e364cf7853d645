//! What the entities can be asked, and what they answer: the words that cross the link.
//!
//! *Invariant*: everything here has a stable, schema-less binary form (no `serde_json::Value`, no
//! untagged enums), because two adjacent releases exchange it.

use std::time::Duration;

use holdfast_domain::{
    Caller, Operation, Order, Payment, Product, Refusal, ShardId, StockLevel, User, order::Fulfilment,
};
use holdfast_store::Service;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::OLDEST_VERSION;

mod account;
mod budget;
mod news;
mod order;
mod product;
mod session;

pub use account::{AccountCommand, LoggedIn, Login, NewUser, PasswordChange, UserChange};
pub use budget::{Draw, Grant};
pub use news::{Changed, News, NodeMessage};
pub(crate) use news::{MAP_PROTO, NEWS_PROTO};
pub use order::{OrderCommand, Payable};
pub use product::{Adjusted, Adjustment, NewProduct, ProductCommand, Reserve, Settle, StockTarget};
pub use session::{Refresh, SessionCommand};

/// What a request brings along besides what it asks.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The W3C trace that the request belongs to.
    pub traceparent: Option<String>,
    /// How long the caller is willing to wait.
    pub budget: Duration,
}

/// A request for a change, and the operation under which it is remembered.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Names the request, so that sending it twice does it once.
    pub operation: Operation,
    /// The rest of what it brings along.
    pub context: CallContext,
}

/// The outcome of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done<T> {
    /// What it made.
    pub value: T,
    /// Whether an earlier request with the same key made it.
    pub replayed: bool,
}

impl<T> Done<T> {
    /// Wraps what was made just now.
    pub const fn now(value: T) -> Self {
        Self {
            value,
            replayed: false,
        }
    }
}

/// A request to one entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// To an account.
    Account(Uuid, AccountCommand),
    /// To a session.
    Session(SessionCommand),
    /// To a product.
    Product(ProductCommand),
    /// To an order.
    Order(OrderCommand),
    /// To a bucket of requests.
    Budget(Draw),
}

impl Request {
    /// Returns the service that answers, and the entity's id, whose last byte is the shard.
    pub fn target(&self) -> (Service, Uuid) {
        match self {
            Self::Account(id, _) => (Service::Sessions, *id),
            Self::Session(command) => (Service::Sessions, command.session_id().0),
            Self::Product(command) => (Service::Products, command.product_id().0),
            Self::Order(command) => (Service::Orders, command.order_id().0),
            Self::Budget(draw) => (Service::Sessions, draw.subject.home()),
        }
    }

    /// Returns the wire version that the request came with: who reads no newer ones does not know it.
    pub(crate) fn since(&self) -> u8 {
        match self {
            Self::Order(command) => command.since(),
            Self::Budget(draw) => draw.class.since(),
            Self::Account(..) | Self::Session(_) | Self::Product(_) => OLDEST_VERSION,
        }
    }

    /// Returns the operation of a request that somebody sent.
    pub fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Account(_, command) => command.operation(),
            Self::Session(_) | Self::Budget(_) => None,
            Self::Product(command) => command.operation(),
            Self::Order(command) => command.operation(),
        }
    }

    /// Returns the shard that the request goes to.
    pub fn shard(&self) -> (Service, ShardId) {
        let (service, id) = self.target();
        (service, holdfast_domain::id::shard_of(id))
    }
}

/// What an operation made. Stored with its key, and sent back when it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Nothing to say but that it is done.
    Ended,
    /// An account.
    User(User),
    /// A login.
    LoggedIn(LoggedIn),
    /// A product.
    Product(Product),
    /// A product's counters.
    Stock(StockLevel),
    /// A product with its counters.
    ProductWithStock(Product, StockLevel),
    /// A change of stock.
    Adjusted(Adjusted),
    /// An order.
    Order(Order),
    /// A payment.
    Payment(Payment),
    /// A shipment.
    Fulfilment(Fulfilment),
    /// Tokens of a bucket.
    Grant(Grant),
}

/// Takes the one kind of reply that a request expects.
pub(crate) trait FromReply: Sized {
    /// Returns the value, or `None` if the reply is of another kind.
    fn from_reply(reply: Reply) -> Option<Self>;
}

macro_rules! from_reply {
    ($($kind:ident($($name:ident: $type:ty),*) => $value:ty;)*) => {$(
        impl FromReply for $value {
            fn from_reply(reply: Reply) -> Option<Self> {
                match reply {
                    Reply::$kind($($name),*) => Some(($($name),*)),
                    _ => None,
                }
            }
        }
    )*};
}

from_reply! {
    User(user: User) => User;
    LoggedIn(login: LoggedIn) => LoggedIn;
    Product(product: Product) => Product;
    Stock(level: StockLevel) => StockLevel;
    ProductWithStock(product: Product, level: StockLevel) => (Product, StockLevel);
    Adjusted(adjusted: Adjusted) => Adjusted;
    Order(order: Order) => Order;
    Payment(payment: Payment) => Payment;
    Fulfilment(fulfilment: Fulfilment) => Fulfilment;
}

impl FromReply for () {
    fn from_reply(reply: Reply) -> Option<Self> {
        matches!(reply, Reply::Ended).then_some(())
    }
}

/// An entity's answer: what it did or why it would not, and whether it had answered so before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What it did, or why it would not.
    pub result: Result<Reply, Refusal>,
    /// Whether an earlier request with the same key was answered so.
    pub replayed: bool,
}

impl Answer {
    /// Makes an answer that nobody was given before.
    pub const fn now(result: Result<Reply, Refusal>) -> Self {
        Self {
            result,
            replayed: false,
        }
    }
}

/// The caller and the operation of a request for a change, as they cross the link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct By {
    /// Who asks.
    pub caller: Caller,
    /// Under which name the outcome is remembered.
    pub operation: Operation,
}
