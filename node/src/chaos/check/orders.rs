//! Acknowledged orders are stored, and none is there twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, KeyNow, Verdict};
use crate::chaos::history::{Action, Operation, Outcome};

/// The placements, with their keys.
fn placements(evidence: &Evidence) -> impl Iterator<Item = (&Operation, &String)> {
    evidence
        .history
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Place { key, .. } => Some((operation, key)),
            _ => None,
        })
}

/// Everything that was asked under the key of a placement.
fn asked(evidence: &Evidence) -> impl Iterator<Item = (&Operation, &String)> {
    evidence
        .history
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Place { key, .. } | Action::PlaceAgain { key } => Some((operation, key)),
            _ => None,
        })
}

/// An answer is for ever: asked again, a key says what it said first. What was
/// asked twice at once was answered alike.
pub(super) fn acknowledged(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    let mut count = 0;
    for (operation, key) in asked(evidence) {
        let now = evidence.keys.get(key);
        let fine = match (&operation.outcome, now) {
            (Outcome::Done(shown), Some(KeyNow::Order(order))) => {
                count += 1;
                shown.order == Some(*order)
            }
            (Outcome::Refused { problem, .. }, Some(KeyNow::Refused(now))) => problem == now,
            (Outcome::Unknown, Some(KeyNow::Order(_) | KeyNow::Refused(_))) => true,
            _ => false,
        };
        if !fine {
            let said = match &operation.outcome {
                Outcome::Done(shown) => shown
                    .order
                    .map_or_else(|| "an order without an id".to_owned(), |id| format!("order {id}")),
                Outcome::Refused { problem, .. } => problem.clone(),
                Outcome::Unknown => "nothing".to_owned(),
            };
            let now = match now {
                Some(KeyNow::Order(id)) => format!("order {id}"),
                Some(KeyNow::Refused(what) | KeyNow::Unclear(what)) => what.clone(),
                None => "nothing".to_owned(),
            };
            breaches.push(format!("key {key} said {said} first, and says {now} now"));
        }
    }
    Verdict::new(
        "acknowledged",
        "an order that was acknowledged exists, and its key goes on naming it",
        format!("{count} acknowledged orders"),
        breaches,
    )
}

/// One key makes one order, and every order has its key.
pub(super) fn single(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    let mut expected: BTreeMap<usize, BTreeSet<_>> = BTreeMap::new();
    for (operation, key) in placements(evidence) {
        if let Some(KeyNow::Order(order)) = evidence.keys.get(key)
            && !expected.entry(operation.client).or_default().insert(*order)
        {
            breaches.push(format!(
                "two keys of client {} name order {order}",
                operation.client
            ));
        }
    }
    let none = BTreeSet::new();
    let clients: BTreeSet<_> = expected.keys().chain(evidence.listed.keys()).collect();
    for client in clients {
        let expected = expected.get(client).unwrap_or(&none);
        let listed = evidence.listed.get(client).unwrap_or(&none);
        for order in expected.difference(listed) {
            breaches.push(format!("order {order} of client {client} is not listed"));
        }
        for order in listed.difference(expected) {
            breaches.push(format!(
                "client {client} has order {order}, which no key of theirs made"
            ));
        }
    }
    let listed: usize = evidence.listed.values().map(BTreeSet::len).sum();
    Verdict::new(
        "single",
        "one idempotency key makes one order at most, and there are no others",
        format!("{listed} stored orders"),
        breaches,
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample::{id, placed, sold_out};
    use super::super::{Evidence, KeyNow};
    use super::{acknowledged, single};
    use crate::chaos::history::{Action, Outcome};

    /// One order that was acknowledged, one whose outcome is unknown, one that
    /// was refused.
    fn sound() -> Evidence {
        let mut unknown = placed(0, 9, 2, 1);
        unknown.outcome = Outcome::Unknown;
        Evidence {
            history: vec![placed(0, 5, 1, 1), unknown, sold_out(0, 5, "3", 1)],
            keys: [
                ("1".to_owned(), KeyNow::Order(id(1))),
                ("2".to_owned(), KeyNow::Order(id(2))),
                ("3".to_owned(), KeyNow::Refused("insufficient-stock".to_owned())),
            ]
            .into(),
            listed: [(0, [id(1), id(2)].into())].into(),
            ..Evidence::default()
        }
    }

    #[test]
    fn an_unknown_outcome_may_turn_out_either_way() {
        let mut evidence = sound();
        assert!(acknowledged(&evidence).holds() && single(&evidence).holds());
        evidence
            .keys
            .insert("2".to_owned(), KeyNow::Refused("insufficient-stock".to_owned()));
        evidence.listed = [(0, [id(1)].into())].into();
        assert!(acknowledged(&evidence).holds() && single(&evidence).holds());
    }

    #[test]
    fn an_acknowledged_order_that_is_gone_is_found() {
        let mut evidence = sound();
        evidence
            .keys
            .insert("1".to_owned(), KeyNow::Unclear("404".to_owned()));
        assert_eq!(acknowledged(&evidence).breaches, 1);
        evidence.keys.remove("1");
        assert_eq!(acknowledged(&evidence).breaches, 1);
    }

    #[test]
    fn a_key_that_names_another_order_later_is_found() {
        let mut evidence = sound();
        evidence.keys.insert("1".to_owned(), KeyNow::Order(id(9)));
        assert_eq!(acknowledged(&evidence).breaches, 1);
    }

    #[test]
    fn two_answers_to_what_was_asked_twice_are_found() {
        let mut evidence = sound();
        let mut again = placed(0, 5, 1, 1);
        again.action = Action::PlaceAgain { key: "1".to_owned() };
        evidence.history.push(again.clone());
        assert!(acknowledged(&evidence).holds() && single(&evidence).holds());
        again.outcome = placed(0, 5, 2, 1).outcome;
        evidence.history.push(again);
        assert_eq!(acknowledged(&evidence).breaches, 1);
    }

    #[test]
    fn a_refusal_that_becomes_an_order_is_found() {
        let mut evidence = sound();
        evidence.keys.insert("3".to_owned(), KeyNow::Order(id(3)));
        assert_eq!(acknowledged(&evidence).breaches, 1);
    }

    #[test]
    fn a_doubled_order_is_found() {
        let mut evidence = sound();
        evidence.listed.entry(0).or_default().insert(id(7));
        assert_eq!(single(&evidence).breaches, 1);
    }

    #[test]
    fn two_keys_for_one_order_and_an_order_that_is_not_listed_are_found() {
        let mut evidence = sound();
        evidence.keys.insert("2".to_owned(), KeyNow::Order(id(1)));
        assert_eq!(single(&evidence).breaches, 2);
    }
}
