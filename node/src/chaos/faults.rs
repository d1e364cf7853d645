//! The faults: what is on the menu, and what was served when.

mod database;
mod inflict;
mod menu;
#[cfg(feature = "fault-points")]
mod misjudge;
mod nodes;
mod releases;
mod site;

use std::fmt;
use std::time::Duration;

pub use menu::FaultKind;

pub(super) use inflict::{Plan, run};
pub(super) use releases::OtherRelease;
pub(super) use site::Site;

/// A fault of one kind, with all that was drawn for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// Whom it strikes, by index.
    pub(super) node: usize,
    /// The other end, if it is about two nodes.
    pub(super) other: usize,
    /// How long its cause lasts; nothing, if it strikes and is over, or lasts
    /// as long as a restart takes.
    pub(super) lasts: Duration,
    /// Whether connections break at once, instead of falling silent.
    pub(super) cuts: bool,
    /// Whether a clock is set back, instead of forward.
    pub(super) backwards: bool,
}

/// A fault that was inflicted, on the clock of the history.
#[derive(Clone, Debug)]
pub(super) struct Infliction {
    pub(super) kind: FaultKind,
    /// Whom and how, in words.
    pub(super) detail: String,
    pub(super) began: Duration,
    /// When its cause was taken away.
    pub(super) ended: Duration,
    /// When every node served again.
    pub(super) recovered: Duration,
    pub(super) victims: Vec<Victim>,
}

/// A node that a fault strikes in particular.
#[derive(Clone, Debug)]
pub(super) struct Victim {
    pub(super) node: usize,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Fault {
    /// The nodes that it strikes from its beginning to its end; none if it
    /// strikes all of them, or one after the other.
    fn struck(&self) -> Vec<usize> {
        match self.kind {
            FaultKind::Kill
            | FaultKind::Pause
            | FaultKind::PauseSent
            | FaultKind::Upgrade
            | FaultKind::Isolate
            | FaultKind::NoDatabase
            | FaultKind::Pool => vec![self.node],
            #[cfg(feature = "fault-points")]
            FaultKind::Misjudge => vec![self.node],
            FaultKind::OneWay | FaultKind::TwoWay => vec![self.node, self.other],
            FaultKind::DatabaseKill
            | FaultKind::DatabaseFast
            | FaultKind::DatabaseImmediate
            | FaultKind::DatabaseStop
            | FaultKind::SlowDisk
            | FaultKind::Rolling
            // Nobody is to notice.
            | FaultKind::Clock => Vec::new(),
        }
    }

    /// Describes it; nodes are called by their names.
    fn describe(&self, names: &[String]) -> String {
        let seconds = self.lasts.as_secs_f64();
        let (node, other) = (&names[self.node], &names[self.other]);
        let how = if self.cuts { "cut" } else { "black hole" };
        match self.kind {
            FaultKind::Kill => format!("{node}: SIGKILL"),
            FaultKind::Pause => format!("{node}: SIGSTOP for {seconds:.1} s"),
            FaultKind::PauseSent => {
                format!("{node}: SIGSTOP for {seconds:.1} s before it heard what Postgres answered")
            }
            FaultKind::OneWay => format!("{node} to {other}: black hole for {seconds:.1} s"),
            FaultKind::TwoWay => format!("{node} and {other}: {how} for {seconds:.1} s"),
            FaultKind::Isolate => format!("{node} and its peers: {how} for {seconds:.1} s"),
            FaultKind::NoDatabase => format!("{node} and Postgres: {how} for {seconds:.1} s"),
            FaultKind::DatabaseKill => "Postgres: SIGKILL".to_owned(),
            FaultKind::DatabaseFast => "Postgres: fast shutdown".to_owned(),
            FaultKind::DatabaseImmediate => "Postgres: immediate shutdown".to_owned(),
            FaultKind::DatabaseStop => format!("Postgres: away for {seconds:.1} s"),
            FaultKind::Pool => {
                format!("Postgres: no connection free, and none for {node}, for {seconds:.1} s")
            }
            FaultKind::SlowDisk => format!("Postgres: flushes take 100 ms for {seconds:.1} s"),
            #[cfg(feature = "fault-points")]
            FaultKind::Misjudge => {
                format!("{node}: declared dead, and not told for {seconds:.1} s after it goes on")
            }
            FaultKind::Rolling => "every node: SIGTERM, one after the other".to_owned(),
            FaultKind::Upgrade => format!("{node}: SIGTERM, back as the other release"),
            FaultKind::Clock => {
                let way = if self.backwards { "back" } else { "forward" };
                format!("{node}: wall clock set {way} by an hour for {seconds:.1} s")
            }
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
