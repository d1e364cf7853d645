//! The name under which a node authenticates: `n1-<incarnation>@<incarnation>`.
//!
//! A restarted peer must not have to compete with its own stale session: `ractor_cluster` keeps one
//! session per *name*, and until the stale one is found dead it may be the one that wins. With the
//! incarnation in the name the two never meet.
//!
//! The part behind the `@` is `ractor_cluster`'s host name. It takes two nodes whose host and
//! built-in listener port are equal for one node talking to itself, and ours all listen on some
//! random loopback port, so the host must be unique as well.

use std::fmt;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// A node's stable name together with its incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkName {
    pub(super) node: String,
    pub(super) id: Uuid,
}

impl LinkName {
    pub(super) fn new(node: impl Into<String>, id: Uuid) -> Self {
        Self {
            node: node.into(),
            id,
        }
    }

    /// The part before the `@`.
    pub(super) fn local(&self) -> String {
        format!("{}-{}", self.node, self.id.hyphenated())
    }

    /// The part behind the `@`.
    pub(super) fn host(&self) -> String {
        self.id.hyphenated().to_string()
    }

    /// Reads the name that a peer claims; nothing, if it is not shaped like one.
    pub(super) fn parse(claimed: &str) -> Option<Self> {
        let (local, host) = claimed.split_once('@')?;
        let id: Hyphenated = host.parse().ok()?;
        let node = local.strip_suffix(host)?.strip_suffix('-')?;
        (!node.is_empty()).then(|| Self::new(node, id.into_uuid()))
    }

    /// Tells whether, of two connections dialed at once, `ractor_cluster` keeps the one that this
    /// node dialed rather than the one that `other` did.
    pub(super) fn dials_first(&self, other: &Self) -> bool {
        self.to_string() > other.to_string()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.local(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_being_claimed() {
        let name = LinkName::new("edge-1", Uuid::from_u128(7));
        assert_eq!(LinkName::parse(&name.to_string()), Some(name));
    }

    #[test]
    fn what_is_not_shaped_like_a_name_is_refused() {
        let id = Uuid::from_u128(7);
        let other = Uuid::from_u128(8);
        for claimed in [
            String::new(),
            "n1".to_owned(),
            "n1@host".to_owned(),
            format!("n1@{id}"),
            format!("-{id}@{id}"),
            format!("n1-{other}@{id}"),
            format!("n1-{id}@{id}@{id}"),
        ] {
            assert_eq!(LinkName::parse(&claimed), None, "{claimed}");
        }
    }

    #[test]
    fn exactly_one_of_two_nodes_dials_first() {
        let one = LinkName::new("n1", Uuid::from_u128(9));
        let two = LinkName::new("n2", Uuid::from_u128(1));
        assert!(two.dials_first(&one));
        assert!(!one.dials_first(&two));
    }
}
