//! Clients of nodes that stay up see no errors when another node dies or is
//! restarted, and none at all while nothing is wrong.
//!
//! Of other faults that is not promised: while Postgres is away nobody can be
//! served, and a node that was paused or cut off is found out only after a
//! while. Their errors are counted, and excused.

use super::{Evidence, Verdict, at};
use crate::chaos::faults::Infliction;
use crate::chaos::history::Attempt;

pub(super) fn errors(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    let mut requests = 0;
    let mut errors = 0;
    for operation in &evidence.history {
        for attempt in &operation.attempts {
            requests += 1;
            if !attempt.reply.is_error() {
                continue;
            }
            errors += 1;
            if !evidence.inflictions.iter().any(|fault| excuses(fault, attempt)) {
                breaches.push(format!(
                    "{} at node {} between {} and {}: {:?}",
                    operation.action.kind(),
                    attempt.node,
                    at(attempt.began),
                    at(attempt.ended),
                    attempt.reply
                ));
            }
        }
    }
    Verdict::new(
        "availability",
        "nodes that stay up answer without errors while others are killed or restarted",
        format!("{requests} requests, {errors} failed"),
        breaches,
    )
}

fn excuses(fault: &Infliction, attempt: &Attempt) -> bool {
    let overlaps = |from, to| attempt.began <= to && attempt.ended >= from;
    let at_victim = fault
        .victims
        .iter()
        .any(|victim| victim.node == attempt.node && overlaps(victim.from, victim.to));
    at_victim || !fault.kind.spares_other_nodes() && overlaps(fault.began, fault.recovered)
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::{ms, operation};
    use super::errors;
    use crate::chaos::faults::{FaultKind, Infliction, Victim};
    use crate::chaos::history::{Action, Outcome, Reply};

    /// The breaches of one error at `node`, at 1,000 ms, beside a fault of
    /// `kind` of node 0 from 500 to 1,500 ms.
    fn breaches(kind: FaultKind, node: usize) -> usize {
        let mut failed = operation(1_000, 1_010, Action::Browse, Outcome::Unknown);
        failed.attempts[0].node = node;
        failed.attempts[0].reply = Reply::Status(503);
        let victim = Victim {
            node: 0,
            from: ms(500),
            to: ms(1_500),
        };
        errors(&Evidence {
            history: vec![failed],
            inflictions: vec![Infliction {
                kind,
                detail: String::new(),
                began: ms(500),
                ended: ms(600),
                recovered: ms(1_500),
                victims: vec![victim],
            }],
            ..Evidence::default()
        })
        .breaches
    }

    #[test]
    fn an_error_at_a_survivor_of_a_kill_is_found() {
        assert_eq!(breaches(FaultKind::Kill, 1), 1);
    }

    #[test]
    fn an_error_at_the_victim_is_excused() {
        assert_eq!(breaches(FaultKind::Kill, 0), 0);
    }

    #[test]
    fn an_error_while_the_database_is_away_is_excused_everywhere() {
        assert_eq!(breaches(FaultKind::DatabaseKill, 1), 0);
    }

    #[test]
    fn an_error_while_nothing_is_wrong_is_found() {
        let failed = operation(0, 1, Action::Browse, Outcome::Unknown);
        let mut evidence = Evidence {
            history: vec![failed],
            ..Evidence::default()
        };
        assert!(errors(&evidence).holds());
        evidence.history[0].attempts[0].reply = Reply::TimedOut;
        assert_eq!(errors(&evidence).breaches, 1);
    }
}
