//! The history: what the clients did, when, and what they were told.
//!
//! Times are those of one monotonic clock, counted from the start of the load.
//! Nothing in here is guessed: an operation whose outcome its client does not
//! know says so.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

/// What a client wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Order units of products, by their indexes, under a key.
    Place {
        key: String,
        lines: BTreeMap<usize, u32>,
    },
    /// The same once more, at the same time.
    PlaceAgain {
        key: String,
    },
    Pay {
        order: Uuid,
    },
    Cancel {
        order: Uuid,
    },
    EditOrder {
        order: Uuid,
    },
    Adjust {
        product: usize,
    },
    EditProduct {
        product: usize,
    },
    ReadProduct {
        product: usize,
        fresh: bool,
    },
    ReadStock {
        product: usize,
        fresh: bool,
    },
    ReadOrder {
        order: Uuid,
        fresh: bool,
    },
    Browse,
    Login,
    /// End a session; the number is this history's own.
    Logout {
        session: u64,
    },
    /// Use a session that was ended.
    UseEnded {
        session: u64,
    },
}

/// Something that has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Row {
    Order(Uuid),
    /// A product's catalogue entry, by its index.
    Product(usize),
    /// A product's stock, by its index.
    Stock(usize),
}

/// A product's counters, as an answer or the ledger has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) version: i64,
}

/// What an answer showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The order that was placed.
    pub(super) order: Option<Uuid>,
    /// A row and its version.
    pub(super) version: Option<(Row, i64)>,
    /// The counters behind a version of a stock.
    pub(super) level: Option<Level>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(Shown),
    Refused {
        status: u16,
        /// The problem's type, without its path.
        problem: String,
        /// The products that were said to have too few units.
        short: Vec<usize>,
    },
    /// It may have happened or not.
    Unknown,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reply {
    Status(u16),
    /// Nothing listened, or the connection broke.
    Broken,
    /// The client's patience ended.
    TimedOut,
}

impl Reply {
    /// Whether it is a server's failure rather than an answer.
    pub(super) fn is_error(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::Broken | Self::TimedOut => true,
        }
    }
}

/// One request; an operation that is tried again has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Which node was asked, by its index.
    pub(super) node: usize,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    pub(super) reply: Reply,
}

/// Something that a client did, with all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) client: usize,
    pub(super) action: Action,
    pub(super) attempts: Vec<Attempt>,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    pub(super) outcome: Outcome,
}

impl Action {
    /// Names the kind for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Place { .. } => "place an order",
            Self::PlaceAgain { .. } => "place it twice",
            Self::Pay { .. } => "pay",
            Self::Cancel { .. } => "cancel",
            Self::EditOrder { .. } => "edit an order",
            Self::Adjust { .. } => "adjust stock",
            Self::EditProduct { .. } => "edit a product",
            Self::ReadProduct { .. } => "read a product",
            Self::ReadStock { .. } => "read stock",
            Self::ReadOrder { .. } => "read an order",
            Self::Browse => "list products",
            Self::Login => "sign in",
            Self::Logout { .. } => "sign out",
            Self::UseEnded { .. } => "use an ended session",
        }
    }

    /// Whether it changes the shop.
    pub(super) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Place { .. }
                | Self::PlaceAgain { .. }
                | Self::Pay { .. }
                | Self::Cancel { .. }
                | Self::EditOrder { .. }
                | Self::Adjust { .. }
                | Self::EditProduct { .. }
                | Self::Logout { .. }
        )
    }

    /// Whether the contract promises that it sees every write acknowledged
    /// before it began.
    pub(super) fn is_fresh(&self) -> bool {
        match self {
            Self::ReadProduct { fresh, .. }
            | Self::ReadStock { fresh, .. }
            | Self::ReadOrder { fresh, .. } => *fresh,
            action => action.is_write(),
        }
    }
}

impl Operation {
    /// What it showed, if it was done.
    pub(super) fn shown(&self) -> Option<&Shown> {
        match &self.outcome {
            Outcome::Done(shown) => Some(shown),
            _ => None,
        }
    }

    pub(super) fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began)
    }

    /// The node that had the last word.
    pub(super) fn answered_by(&self) -> Option<usize> {
        self.attempts.last().map(|attempt| attempt.node)
    }
}
