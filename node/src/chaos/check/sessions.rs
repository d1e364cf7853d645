//! A session that was ended is refused: where it was ended at once, elsewhere
//! within a second.

use std::collections::HashMap;
use std::time::Duration;

use super::{Evidence, Verdict, at};
use crate::chaos::history::{Action, Operation, Outcome};

/// How long a node may go on accepting a session that was ended at another.
pub(in crate::chaos) const REVOKED_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn ended(evidence: &Evidence) -> Verdict {
    let mut ends: HashMap<u64, &Operation> = HashMap::new();
    let mut breaches = Vec::new();
    let mut count = 0;
    for operation in &evidence.history {
        match (&operation.action, &operation.outcome) {
            (Action::Logout { session }, Outcome::Done(_)) => {
                ends.insert(*session, operation);
            }
            (Action::UseEnded { session }, outcome) => {
                let Some(end) = ends.get(session) else { continue };
                count += 1;
                let since = operation.began.saturating_sub(end.ended);
                let must_know = operation.answered_by() == end.answered_by() || since >= REVOKED_WITHIN;
                if must_know && matches!(outcome, Outcome::Done(_)) {
                    breaches.push(format!(
                        "a session that was ended at {} was accepted {} later",
                        at(end.ended),
                        at(since)
                    ));
                }
            }
            _ => {}
        }
    }
    Verdict::new(
        "revocation",
        "an ended session is refused where it was ended at once, and everywhere after a second",
        format!("{count} uses of {} ended sessions", ends.len()),
        breaches,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::operation;
    use super::ended;
    use crate::chaos::history::{Action, Operation, Outcome, Shown};

    fn logout() -> Operation {
        operation(
            0,
            10,
            Action::Logout { session: 1 },
            Outcome::Done(Shown::default()),
        )
    }

    /// A use that succeeds, begun at `began` ms at `node`.
    fn accepted(began: u64, node: usize) -> Operation {
        let outcome = Outcome::Done(Shown::default());
        let mut operation = operation(began, began + 5, Action::UseEnded { session: 1 }, outcome);
        operation.attempts[0].node = node;
        operation
    }

    fn breaches(use_of_it: Operation) -> usize {
        ended(&Evidence {
            history: vec![logout(), use_of_it],
            ..Evidence::default()
        })
        .breaches
    }

    #[test]
    fn an_ended_session_that_its_own_node_accepts_is_found() {
        assert_eq!(breaches(accepted(11, 0)), 1);
    }

    #[test]
    fn another_node_may_accept_it_for_a_second_and_no_longer() {
        assert_eq!(breaches(accepted(500, 1)), 0);
        assert_eq!(breaches(accepted(1_010, 1)), 1);
    }

    #[test]
    fn a_refusal_and_an_unknown_outcome_are_fine() {
        let refused = Outcome::Refused {
            status: 401,
            problem: "session-ended".to_owned(),
            short: Vec::new(),
        };
        for outcome in [refused, Outcome::Unknown] {
            let mut operation = accepted(2_000, 0);
            operation.outcome = outcome;
            assert_eq!(breaches(operation), 0);
        }
    }
}
