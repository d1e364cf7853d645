//! The guards on which safety rests, each of which a mutation test takes away.

/// Which guards a [`Model`](super::Model) has; all, unless somebody takes one away.
///
/// Without one, exactly its check is skipped, and what it would have stopped is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own; no two states exclude each other"
)]
pub struct Guards {
    /// A commit is of a node that is not superseded, under leases that it holds at their epochs.
    pub fence: bool,
    /// Stock and reservations stand as the writer believes; one version has one entry in the ledger
    /// and one event of each kind.
    pub versions: bool,
    /// A customer's key makes one order, and an operation takes effect once.
    pub unique_keys: bool,
    /// An order stands as the writer believes; one version of it has one event of each kind.
    pub order_compare_and_set: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            fence: true,
            versions: true,
            unique_keys: true,
            order_compare_and_set: true,
        }
    }
}
