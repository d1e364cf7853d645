//! Nodes that change to an adjacent release and back, so that two run side by
//! side.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::site::Site;
use crate::up::Overrides;

/// Limits the wire version that a node speaks.
const WIRE_VERSION: &str = "HOLDFAST_LINK__WIRE_VERSION";

/// What a node may be besides this build.
#[derive(Clone, Debug)]
pub(in crate::chaos) enum OtherRelease {
    /// Another build.
    Program(PathBuf),
    /// This build, speaking the wire version before.
    OlderWire,
}

impl OtherRelease {
    /// `build`, if there is one.
    pub(in crate::chaos) fn of(build: Option<&Path>) -> Self {
        build.map_or(Self::OlderWire, |build| Self::Program(build.to_owned()))
    }

    /// Has the node `name` be launched as the release that it is not, and
    /// tells whether that is the other one.
    fn exchange(&self, overrides: &Overrides, name: &str) -> bool {
        overrides.change(name, |node| match self {
            Self::Program(path) => {
                let was_other = node.program.take().is_some();
                if !was_other {
                    node.program = Some(path.clone());
                }
                !was_other
            }
            Self::OlderWire => {
                let was_other = node.variables.remove(WIRE_VERSION).is_some();
                if !was_other {
                    let before = holdfast_actors::wire::NEWEST_VERSION - 1;
                    node.variables.insert(WIRE_VERSION.to_owned(), before.to_string());
                }
                !was_other
            }
        })
    }

    /// Says what it is.
    pub(in crate::chaos) fn describe(&self) -> String {
        match self {
            Self::Program(path) => path.display().to_string(),
            Self::OlderWire => "this build, speaking the wire version before".to_owned(),
        }
    }
}

/// Restarts a node in good order as the release that it is not; it stays so.
pub(super) async fn change(site: &Site, node: usize) -> anyhow::Result<()> {
    site.other_release.exchange(&site.overrides, &site.names[node]);
    let pid = site.signal(node, Signal::SIGTERM)?;
    site.until_replaced(node, pid).await
}

#[cfg(test)]
mod tests {
    use super::{OtherRelease, Overrides};

    #[test]
    fn a_node_changes_to_the_other_release_and_back_and_the_others_stay() {
        let program = OtherRelease::Program("/opt/before".into());
        for other in [program, OtherRelease::OlderWire] {
            let overrides = Overrides::default();
            assert!(other.exchange(&overrides, "n1"));
            assert!(other.exchange(&overrides, "n2"));
            assert!(!other.exchange(&overrides, "n1"));
            assert!(other.exchange(&overrides, "n1"));
        }
    }
}
