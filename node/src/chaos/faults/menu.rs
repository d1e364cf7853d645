//! What can go wrong, and the choice among it.

use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::Fault;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// It takes a node up to a second to see that its clock was moved.
const CLOCK_MIN: Duration = Duration::from_secs(3);
const DISORDER_MIN: Duration = Duration::from_secs(1);
const DISORDER_MAX: Duration = Duration::from_secs(8);
/// How long a stopped server stays away.
const OUTAGE: Duration = Duration::from_secs(10);

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A node is killed.
    Kill,
    /// A node stands still for a while.
    Pause,
    /// A node that has sent Postgres something stands still before it hears
    /// back.
    PauseSent,
    /// What one node sends another does not arrive; the other direction works.
    OneWay,
    /// Two nodes do not hear each other.
    TwoWay,
    /// A node hears none of the others, and they do not hear it. It reaches
    /// Postgres.
    Isolate,
    /// A node does not reach Postgres. It reaches the other nodes.
    NoDatabase,
    /// Postgres is killed, and restarted by its supervisor.
    DatabaseKill,
    /// Postgres is shut down fast, and restarted by its supervisor.
    DatabaseFast,
    /// Postgres is shut down without a checkpoint, and restarted by its
    /// supervisor.
    DatabaseImmediate,
    /// Postgres is away.
    DatabaseStop,
    /// Others hold all connections that Postgres gives.
    Pool,
    /// Commits reach the disk late.
    SlowDisk,
    /// All nodes are restarted in good order, one after the other.
    Rolling,
    /// A node is restarted in good order as another release, and stays so.
    Upgrade,
    /// A node's wall clock is an hour off.
    Clock,
    /// A node is declared dead though it lives; not on the menu.
    #[cfg(feature = "fault-points")]
    Misjudge,
}

/// A fault that is not on the menu.
#[derive(Debug, thiserror::Error)]
#[error("must be `all` or some of {}", FaultKind::ALL.map(FaultKind::name).join(", "))]
pub struct UnknownFault;

impl FaultKind {
    /// The whole menu.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::Pause,
        Self::PauseSent,
        Self::OneWay,
        Self::TwoWay,
        Self::Isolate,
        Self::NoDatabase,
        Self::DatabaseKill,
        Self::DatabaseFast,
        Self::DatabaseImmediate,
        Self::DatabaseStop,
        Self::Pool,
        Self::SlowDisk,
        Self::Rolling,
        Self::Upgrade,
        Self::Clock,
    ];

    /// Names it as the command line does.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::PauseSent => "pause-sent",
            Self::OneWay => "one-way",
            Self::TwoWay => "two-way",
            Self::Isolate => "isolate",
            Self::NoDatabase => "no-database",
            Self::DatabaseKill => "pg-kill",
            Self::DatabaseFast => "pg-fast",
            Self::DatabaseImmediate => "pg-immediate",
            Self::DatabaseStop => "pg-stop",
            Self::Pool => "pool",
            Self::SlowDisk => "slow-disk",
            Self::Rolling => "rolling",
            Self::Upgrade => "upgrade",
            Self::Clock => "clock",
            #[cfg(feature = "fault-points")]
            Self::Misjudge => "misjudge",
        }
    }

    /// Whether clients of the nodes that it does not strike must not notice
    /// more than a delay.
    pub(in crate::chaos) fn spares_other_nodes(self) -> bool {
        matches!(self, Self::Kill | Self::Rolling | Self::Upgrade | Self::Clock)
    }

    /// Whether it is about two nodes.
    fn needs_a_peer(self) -> bool {
        #[cfg(feature = "fault-points")]
        if self == Self::Misjudge {
            return true;
        }
        matches!(self, Self::OneWay | Self::TwoWay | Self::Isolate)
    }
}

impl FromStr for FaultKind {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        #[cfg(feature = "fault-points")]
        if name == Self::Misjudge.name() {
            return Ok(Self::Misjudge);
        }
        let named = Self::ALL.into_iter().find(|kind| kind.name() == name);
        named.ok_or(UnknownFault)
    }
}

/// A seeded choice of faults: each kind once, in random order, then anew.
pub(super) struct Menu {
    kinds: Vec<FaultKind>,
    /// What is left of this round.
    round: Vec<FaultKind>,
    nodes: usize,
    longest: Duration,
    rng: StdRng,
}

impl Menu {
    /// Offers `kinds`, as far as they can strike this many nodes; none of its
    /// faults lasts longer than `longest`.
    pub(super) fn new(kinds: &[FaultKind], nodes: usize, longest: Duration, rng: StdRng) -> Self {
        let mut kinds: Vec<FaultKind> = kinds
            .iter()
            .copied()
            .filter(|kind| nodes > 1 || !kind.needs_a_peer())
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        Self {
            kinds,
            round: Vec::new(),
            nodes,
            longest,
            rng,
        }
    }

    /// Chooses the next fault, or two that differ in kind. Nothing if the menu
    /// is empty.
    pub(super) fn next(&mut self, in_pairs: bool) -> Vec<Fault> {
        let count = if in_pairs { 2.min(self.kinds.len()) } else { 1 };
        let mut kinds: Vec<FaultKind> = Vec::new();
        while kinds.len() < count {
            if self.round.is_empty() {
                self.round.clone_from(&self.kinds);
                self.round.shuffle(&mut self.rng);
            }
            match self.round.iter().rposition(|kind| !kinds.contains(kind)) {
                Some(index) => kinds.push(self.round.remove(index)),
                None if self.kinds.is_empty() => break,
                // What is left of the round is what was chosen last; it counts
                // as served.
                None => self.round.clear(),
            }
        }
        kinds.into_iter().map(|kind| self.fault(kind)).collect()
    }

    fn fault(&mut self, kind: FaultKind) -> Fault {
        let node = self.rng.random_range(0..self.nodes);
        let other = if self.nodes > 1 {
            (node + self.rng.random_range(1..self.nodes)) % self.nodes
        } else {
            node
        };
        let lasts = match kind {
            FaultKind::Kill
            | FaultKind::DatabaseKill
            | FaultKind::DatabaseFast
            | FaultKind::DatabaseImmediate
            | FaultKind::Rolling
            | FaultKind::Upgrade => Duration::ZERO,
            FaultKind::DatabaseStop => OUTAGE,
            FaultKind::Pause | FaultKind::PauseSent => self.between(PAUSE_MIN, PAUSE_MAX),
            FaultKind::Clock => self.between(CLOCK_MIN, DISORDER_MAX),
            #[cfg(feature = "fault-points")]
            FaultKind::Misjudge => super::misjudge::UNTOLD,
            FaultKind::OneWay
            | FaultKind::TwoWay
            | FaultKind::Isolate
            | FaultKind::NoDatabase
            | FaultKind::Pool
            | FaultKind::SlowDisk => self.between(DISORDER_MIN, DISORDER_MAX),
        };
        Fault {
            kind,
            node,
            other,
            lasts: lasts.min(self.longest),
            cuts: self.rng.random_bool(0.5),
            backwards: self.rng.random_bool(0.5),
        }
    }

    /// Draws a duration such that short ones are as likely as long ones, by
    /// their orders of magnitude.
    fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let ratio = max.as_secs_f64() / min.as_secs_f64();
        min.mul_f64(ratio.powf(self.rng.random_range(0.0..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{FaultKind, Menu, PAUSE_MAX, PAUSE_MIN};

    fn menu(nodes: usize, seed: u64) -> Menu {
        Menu::new(
            &FaultKind::ALL,
            nodes,
            Duration::from_mins(1),
            StdRng::seed_from_u64(seed),
        )
    }

    #[test]
    fn a_seed_chooses_the_same_faults_again() {
        let (mut one, mut other) = (menu(3, 7), menu(3, 7));
        for _ in 0..50 {
            assert_eq!(one.next(true), other.next(true));
        }
    }

    #[test]
    fn each_kind_comes_once_before_any_comes_again() {
        let mut menu = menu(3, 1);
        for _ in 0..3 {
            let round: BTreeSet<FaultKind> = FaultKind::ALL
                .iter()
                .flat_map(|_| menu.next(false))
                .map(|fault| fault.kind)
                .collect();
            assert_eq!(round.len(), FaultKind::ALL.len());
        }
    }

    #[test]
    fn a_pair_is_of_two_kinds_and_a_fault_of_two_nodes() {
        let mut menu = menu(2, 3);
        for _ in 0..100 {
            let pair = menu.next(true);
            assert_ne!(pair[0].kind, pair[1].kind);
            assert_ne!(pair[0].node, pair[0].other);
        }
    }

    #[test]
    fn a_menu_of_one_kind_serves_it_alone_even_in_pairs() {
        let rng = StdRng::seed_from_u64(1);
        let mut menu = Menu::new(&[FaultKind::Kill], 3, Duration::from_secs(1), rng);
        for _ in 0..3 {
            assert_eq!(menu.next(true).len(), 1);
        }
    }

    #[test]
    fn pauses_are_short_and_long_but_never_longer_than_asked_for() {
        let mut menu = menu(3, 5);
        let pauses: Vec<Duration> = (0..200).map(|_| menu.fault(FaultKind::Pause).lasts).collect();
        assert!(pauses.iter().all(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < Duration::from_secs(1)));
        assert!(pauses.iter().any(|pause| *pause > Duration::from_secs(10)));
        menu.longest = Duration::from_secs(2);
        assert!((0..200).all(|_| menu.fault(FaultKind::Pause).lasts <= Duration::from_secs(2)));
    }

    #[test]
    fn a_single_node_is_not_cut_off_from_others() {
        let mut menu = menu(1, 1);
        for _ in 0..30 {
            assert!(!menu.next(false)[0].kind.needs_a_peer());
        }
    }
}
