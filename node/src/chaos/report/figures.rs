//! The history in figures.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chaos::check::Evidence;
use crate::chaos::faults::{FaultKind, Infliction};
use crate::chaos::history::{Operation, Outcome, Reply};

/// Durations of one kind, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    sorted: Vec<Duration>,
}

impl Distribution {
    pub(super) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn values(&self) -> &[Duration] {
        &self.sorted
    }

    /// The nearest-rank percentile; nothing if there is nothing.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied()
    }
}

/// Writes a duration for people.
pub(super) fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "-".to_owned(),
        |duration| format!("{:.0} ms", duration.as_secs_f64() * 1_000.0),
    )
}

/// One second of the load.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    /// Operations that ended in it, done or refused.
    pub(super) answered: u32,
    /// Requests that failed in it.
    pub(super) failed: u32,
    pub(super) latencies: Distribution,
}

/// How the cluster came through faults of one kind.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    pub(super) kind: FaultKind,
    /// From a fault's end until every node served again.
    pub(super) back: Distribution,
    /// The longest time around each fault in which no write was acknowledged.
    pub(super) gap: Distribution,
    /// The requests that failed meanwhile.
    pub(super) failures: Failures,
}

/// What a node answered that was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorCount {
    pub(super) node: usize,
    pub(super) reply: Reply,
    pub(super) count: usize,
    /// Of these, while no fault was on.
    pub(super) in_calm: usize,
}

/// The requests that failed while a fault was on, its recovery included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// At the nodes that it struck.
    pub(super) at_victims: usize,
    pub(super) elsewhere: usize,
}

impl Failures {
    pub(super) fn during(fault: &Infliction, history: &[Operation]) -> Self {
        let mut failures = Self::default();
        for attempt in history.iter().flat_map(|operation| &operation.attempts) {
            let overlaps = |from, to| attempt.began <= to && attempt.ended >= from;
            if !attempt.reply.is_error() || !overlaps(fault.began, fault.recovered) {
                continue;
            }
            let at_victim = fault
                .victims
                .iter()
                .any(|victim| victim.node == attempt.node && overlaps(victim.from, victim.to));
            if at_victim {
                failures.at_victims += 1;
            } else {
                failures.elsewhere += 1;
            }
        }
        failures
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) seconds: Vec<Second>,
    pub(super) latencies: BTreeMap<&'static str, Distribution>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) errors: Vec<ErrorCount>,
    pub(super) operations: usize,
    pub(super) unknown: usize,
}

impl Figures {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let history = &evidence.history;
        let unknown = |operation: &&Operation| operation.outcome == Outcome::Unknown;
        Self {
            seconds: seconds(history),
            latencies: latencies(history),
            recoveries: recoveries(history, &evidence.inflictions),
            errors: errors(history, &evidence.inflictions),
            operations: history.len(),
            unknown: history.iter().filter(unknown).count(),
        }
    }
}

fn second_of(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or(usize::MAX)
}

fn seconds(history: &[Operation]) -> Vec<Second> {
    // What ended after the last whole second counts as part of that.
    let end = history.iter().map(|operation| operation.ended).max();
    let count = end.map_or(0, |end| second_of(end).max(1));
    let mut seconds = vec![Second::default(); count];
    let mut latencies = vec![Vec::new(); count];
    for operation in history {
        let index = second_of(operation.ended).min(count - 1);
        if operation.outcome != Outcome::Unknown {
            seconds[index].answered += 1;
            latencies[index].push(operation.took());
        }
        for attempt in &operation.attempts {
            if attempt.reply.is_error() {
                seconds[second_of(attempt.ended).min(count - 1)].failed += 1;
            }
        }
    }
    for (second, latencies) in seconds.iter_mut().zip(latencies) {
        second.latencies = Distribution::of(latencies);
    }
    seconds
}

fn latencies(history: &[Operation]) -> BTreeMap<&'static str, Distribution> {
    let mut by_kind: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
    for operation in history {
        if operation.outcome != Outcome::Unknown {
            by_kind
                .entry(operation.action.kind())
                .or_default()
                .push(operation.took());
        }
    }
    by_kind
        .into_iter()
        .map(|(kind, durations)| (kind, Distribution::of(durations)))
        .collect()
}

fn recoveries(history: &[Operation], inflictions: &[Infliction]) -> Vec<Recovery> {
    let mut writes: Vec<Duration> = history
        .iter()
        .filter(|operation| operation.action.is_write() && operation.shown().is_some())
        .map(|operation| operation.ended)
        .collect();
    writes.sort_unstable();
    FaultKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let of_kind: Vec<_> = inflictions.iter().filter(|fault| fault.kind == kind).collect();
            let back = of_kind
                .iter()
                .map(|fault| fault.recovered.saturating_sub(fault.ended));
            let gap = of_kind.iter().filter_map(|fault| longest_gap(&writes, fault));
            (!of_kind.is_empty()).then(|| Recovery {
                kind,
                back: Distribution::of(back),
                gap: Distribution::of(gap),
                failures: of_kind.iter().fold(Failures::default(), |sum, fault| {
                    let failures = Failures::during(fault, history);
                    Failures {
                        at_victims: sum.at_victims + failures.at_victims,
                        elsewhere: sum.elsewhere + failures.elsewhere,
                    }
                }),
            })
        })
        .collect()
}

/// The longest time between two writes of which a part lies in a fault.
fn longest_gap(writes: &[Duration], fault: &Infliction) -> Option<Duration> {
    writes
        .windows(2)
        .filter(|pair| pair[1] >= fault.began && pair[0] <= fault.recovered)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .max()
}

fn errors(history: &[Operation], inflictions: &[Infliction]) -> Vec<ErrorCount> {
    let mut counts: BTreeMap<(usize, Reply), (usize, usize)> = BTreeMap::new();
    for attempt in history.iter().flat_map(|operation| &operation.attempts) {
        if !attempt.reply.is_error() {
            continue;
        }
        let is_on = |fault: &Infliction| attempt.began <= fault.recovered && attempt.ended >= fault.began;
        let (count, in_calm) = counts.entry((attempt.node, attempt.reply)).or_default();
        *count += 1;
        *in_calm += usize::from(!inflictions.iter().any(is_on));
    }
    counts
        .into_iter()
        .map(|((node, reply), (count, in_calm))| ErrorCount {
            node,
            reply,
            count,
            in_calm,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Distribution, Failures, longest_gap, seconds};
    use crate::chaos::faults::{FaultKind, Infliction, Victim};
    use crate::chaos::history::{Action, Attempt, Operation, Outcome, Reply, Shown};

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A fault of node 0, from 1,000 to 1,200 ms.
    fn fault() -> Infliction {
        Infliction {
            kind: FaultKind::Kill,
            detail: String::new(),
            began: ms(1_000),
            ended: ms(1_000),
            recovered: ms(1_200),
            victims: vec![Victim {
                node: 0,
                from: ms(1_000),
                to: ms(1_200),
            }],
        }
    }

    /// A look at the list, which was tried twice: in vain at node 0 from 1,100
    /// to 1,150 ms, then at node 1 until 1,200 ms.
    fn browsing() -> Operation {
        let attempt = |node, began, ended, reply| Attempt {
            node,
            began: ms(began),
            ended: ms(ended),
            reply,
        };
        Operation {
            client: 0,
            action: Action::Browse,
            attempts: vec![
                attempt(0, 1_100, 1_150, Reply::Broken),
                attempt(1, 1_160, 1_200, Reply::Status(200)),
            ],
            began: ms(1_100),
            ended: ms(1_200),
            outcome: Outcome::Done(Shown::default()),
        }
    }

    #[test]
    fn a_failed_request_counts_for_the_node_that_was_asked() {
        let mut history = vec![browsing()];
        let at_victim = Failures {
            at_victims: 1,
            elsewhere: 0,
        };
        assert_eq!(Failures::during(&fault(), &history), at_victim);
        history[0].attempts[0].node = 2;
        let elsewhere = Failures {
            at_victims: 0,
            elsewhere: 1,
        };
        assert_eq!(Failures::during(&fault(), &history), elsewhere);
        history[0].attempts[0].ended = ms(900);
        history[0].attempts[0].began = ms(800);
        assert_eq!(Failures::during(&fault(), &history), Failures::default());
    }

    #[test]
    fn a_second_has_what_ended_in_it_and_the_last_one_what_came_after() {
        let mut late = browsing();
        late.ended = ms(3_100);
        let seconds = seconds(&[browsing(), late]);
        let answered: Vec<u32> = seconds.iter().map(|second| second.answered).collect();
        let failed: Vec<u32> = seconds.iter().map(|second| second.failed).collect();
        assert_eq!((answered, failed), (vec![0, 1, 1], vec![0, 2, 0]));
        assert_eq!(seconds[2].latencies.percentile(50), Some(ms(2_000)));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all = Distribution::of((1..=10).rev().map(ms));
        assert_eq!(all.percentile(50), Some(ms(5)));
        assert_eq!(all.percentile(99), Some(ms(10)));
        assert_eq!(all.percentile(100), Some(ms(10)));
        assert_eq!(Distribution::default().percentile(50), None);
    }

    #[test]
    fn a_gap_counts_for_the_fault_that_it_reaches_into() {
        let writes = [ms(0), ms(990), ms(1_300), ms(1_310), ms(9_000)];
        assert_eq!(longest_gap(&writes, &fault()), Some(ms(310)));
        assert_eq!(longest_gap(&[], &fault()), None);
    }
}
