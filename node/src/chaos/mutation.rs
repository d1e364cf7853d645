//! What holds the promises, taken away one at a time to see that a run notices.
//!
//! Only tests switch the feature `fault-points` on: no release can be weakened
//! like this.

use clap::ValueEnum;
use holdfast_store::model::Guards;
use holdfast_store::testing::weaken;

/// Tells a node which half of its output gate to leave open.
pub(crate) const OPEN_GATE: &str = "HOLDFAST_TEST_OPEN_GATE";

/// A guard that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// A superseded node's writes are taken, and its sessions are not ended.
    Fence,
    /// Stock and reservations are written whatever version they are at.
    Versions,
    /// A key may make any number of orders, and have any number of effects.
    UniqueKeys,
    /// An order is decided and moved whatever has become of it.
    CompareAndSet,
    /// Answers do not wait for their commits.
    EarlyAnswers,
    /// Refusals do not wait for the promises that they rest on.
    EarlyRefusals,
}

impl Mutation {
    /// Names it as the command line does.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Takes the guard out of the database, if that is where it stands.
    pub(super) async fn weaken(self, database_url: &str) -> anyhow::Result<()> {
        let mut guards = Guards::default();
        match self {
            Self::Fence => guards.fence = false,
            Self::Versions => guards.versions = false,
            Self::UniqueKeys => guards.unique_keys = false,
            Self::CompareAndSet => guards.order_compare_and_set = false,
            Self::EarlyAnswers | Self::EarlyRefusals => return Ok(()),
        }
        Ok(weaken(database_url, guards).await?)
    }

    /// What takes the guard out of the nodes, if that is where it stands.
    pub(super) fn variables(self) -> Option<(&'static str, String)> {
        let half = match self {
            Self::EarlyAnswers => "answers",
            Self::EarlyRefusals => "refusals",
            Self::Fence | Self::Versions | Self::UniqueKeys | Self::CompareAndSet => return None,
        };
        Some((OPEN_GATE, half.to_owned()))
    }
}
