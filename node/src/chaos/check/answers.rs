//! Whatever is refused is refused for a reason that the contract names.

use super::{Evidence, Verdict, at};
use crate::chaos::history::{Action, Operation, Outcome};

/// The problems that may come of an action whose request is in order.
fn allowed(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Place { .. } | Action::PlaceAgain { .. } | Action::Adjust { .. } => &["insufficient-stock"],
        // Expired meanwhile, or its units were sold to somebody else.
        Action::Pay { .. } => &["invalid-transition", "insufficient-stock"],
        Action::Cancel { .. } => &["invalid-transition"],
        Action::EditOrder { .. } => &["version-mismatch", "invalid-transition"],
        Action::EditProduct { .. } => &["version-mismatch"],
        Action::UseEnded { .. } => &["session-ended", "unauthenticated"],
        Action::ReadProduct { .. }
        | Action::ReadStock { .. }
        | Action::ReadOrder { .. }
        | Action::Browse
        | Action::Login
        | Action::Logout { .. } => &[],
    }
}

fn is_allowed(operation: &Operation, problem: &str) -> bool {
    // Signing out twice: the first time may have worked without an answer.
    let again = matches!(operation.action, Action::Logout { .. }) && operation.attempts.len() > 1;
    again && matches!(problem, "session-ended" | "unauthenticated")
        || allowed(&operation.action).contains(&problem)
}

pub(super) fn allowed_only(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    let mut count = 0;
    for operation in &evidence.history {
        let Outcome::Refused { status, problem, .. } = &operation.outcome else {
            continue;
        };
        count += 1;
        if !is_allowed(operation, problem) {
            breaches.push(format!(
                "{} was refused at {}: {status} {problem}",
                operation.action.kind(),
                at(operation.ended)
            ));
        }
    }
    Verdict::new(
        "answers",
        "a request that is in order is refused only for reasons that the contract names",
        format!("{count} refusals of {} operations", evidence.history.len()),
        breaches,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::{id, operation};
    use super::allowed_only;
    use crate::chaos::history::{Action, Operation, Outcome};

    fn refused(action: Action, problem: &str) -> Operation {
        let outcome = Outcome::Refused {
            status: 404,
            problem: problem.to_owned(),
            short: Vec::new(),
        };
        operation(0, 5, action, outcome)
    }

    fn breaches(operation: Operation) -> usize {
        allowed_only(&Evidence {
            history: vec![operation],
            ..Evidence::default()
        })
        .breaches
    }

    #[test]
    fn an_acknowledged_order_that_cannot_be_found_is_a_breach() {
        let read = Action::ReadOrder {
            order: id(1),
            fresh: true,
        };
        assert_eq!(breaches(refused(read, "not-found")), 1);
    }

    #[test]
    fn paying_too_late_is_none() {
        assert_eq!(
            breaches(refused(Action::Pay { order: id(1) }, "invalid-transition")),
            0
        );
    }

    #[test]
    fn signing_out_again_is_none() {
        let mut again = refused(Action::Logout { session: 1 }, "session-ended");
        assert_eq!(breaches(again.clone()), 1);
        again.attempts.push(again.attempts[0].clone());
        assert_eq!(breaches(again), 0);
    }
}
