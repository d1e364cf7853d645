//! Nobody is told "sold out" while there were units the whole time.
//!
//! A ledger's versions cannot be dated, but bounded. A version was there when
//! an answer that rests on it, or on a later one, had come; and it was not
//! there before the request that made it, or any version before it, had begun.
//! So for each request there is a range of versions that its answer may rest
//! on. A refusal is a breach if each version of the range has units enough.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::{Evidence, Kind, Movement, Verdict, at};
use crate::chaos::history::{Action, Operation, Outcome, Row};

const PROBLEM: &str = "insufficient-stock";

/// What bounds the times of one ledger's versions, by version - 1.
struct Bounds<'a> {
    ledger: &'a [Movement],
    /// Not before this; never falls.
    earliest: Vec<Duration>,
    /// By then; never falls. Unknown for the last ones.
    latest: Vec<Option<Duration>>,
}

/// The placements that were acknowledged, by order.
type Placements<'a> = HashMap<Uuid, &'a Operation>;

fn placements(evidence: &Evidence) -> Placements<'_> {
    evidence
        .history
        .iter()
        .filter(|operation| matches!(operation.action, Action::Place { .. }))
        .filter_map(|operation| Some((operation.shown()?.order?, operation)))
        .collect()
}

impl<'a> Bounds<'a> {
    fn of(product: usize, ledger: &'a [Movement], evidence: &Evidence, placements: &Placements<'_>) -> Self {
        let mut made = vec![Duration::ZERO; ledger.len()];
        let mut latest = vec![None; ledger.len()];
        let mut reserved = HashSet::new();
        for (index, movement) in ledger.iter().enumerate() {
            // Whatever concerns an order comes after somebody asked for it.
            let Some(placed) = movement.order.and_then(|order| placements.get(&order)) else {
                continue;
            };
            made[index] = placed.began;
            // An order that expired and is paid late reserves again, later.
            let is_first = movement.kind == Kind::Reserve && reserved.insert(movement.order);
            if is_first {
                latest[index] = Some(placed.ended);
            }
        }
        for operation in &evidence.history {
            let version = operation.shown().and_then(|shown| shown.version);
            let Some((Row::Stock(of), version)) = version else {
                continue;
            };
            let index = usize::try_from(version)
                .ok()
                .and_then(|version| version.checked_sub(1))
                .filter(|index| of == product && *index < ledger.len());
            let Some(index) = index else { continue };
            if operation.action.is_write() {
                made[index] = made[index].max(operation.began);
            }
            latest[index] = earlier(latest[index], Some(operation.ended));
        }
        let mut earliest = made;
        for index in 1..earliest.len() {
            earliest[index] = earliest[index].max(earliest[index - 1]);
        }
        for index in (1..latest.len()).rev() {
            latest[index - 1] = earlier(latest[index - 1], latest[index]);
        }
        Self {
            ledger,
            earliest,
            latest,
        }
    }

    /// The entries on which the answer to a request may rest.
    fn range(&self, began: Duration, ended: Duration) -> &[Movement] {
        let first = self
            .latest
            .partition_point(|latest| latest.is_some_and(|latest| latest < began));
        let end = self.earliest.partition_point(|earliest| *earliest < ended);
        // The state before the first entry that came during the request counts,
        // too; the initial stock was there before everything.
        let first = first.saturating_sub(1);
        &self.ledger[first..end.max(first + 1).min(self.ledger.len())]
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A refusal for want of units is founded on a moment without them.
pub(super) fn sold_out(evidence: &Evidence) -> Verdict {
    let placements = placements(evidence);
    let bounds: Vec<Bounds<'_>> = evidence
        .ledgers
        .iter()
        .enumerate()
        .map(|(product, ledger)| Bounds::of(product, ledger, evidence, &placements))
        .collect();
    let mut breaches = Vec::new();
    let mut count = 0;
    for operation in &evidence.history {
        let (Action::Place { lines, .. }, Outcome::Refused { problem, short, .. }) =
            (&operation.action, &operation.outcome)
        else {
            continue;
        };
        if problem != PROBLEM {
            continue;
        }
        count += 1;
        if short.is_empty() {
            breaches.push(format!(
                "a refusal at {} names no product that is short",
                at(operation.ended)
            ));
        }
        for product in short {
            let wanted = lines.get(product).copied().map_or(0, i64::from);
            let Some(bounds) = bounds.get(*product) else {
                continue;
            };
            let range = bounds.range(operation.began, operation.ended);
            let least = range
                .iter()
                .map(|movement| movement.level.on_hand - movement.level.reserved)
                .min();
            if let Some(least) = least.filter(|least| *least >= wanted) {
                breaches.push(format!(
                    "{wanted} of product {product} were refused between {} and {}, while there were {least} or more",
                    at(operation.began),
                    at(operation.ended)
                ));
            }
        }
    }
    Verdict::new(
        "sold out",
        "nobody is refused for want of units that were there during the whole request",
        format!("{count} refusals"),
        breaches,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::{Entry, adjusted, ledger, level, placed, sold_out as refused, stock_read};
    use super::sold_out;
    use crate::chaos::history::Operation;

    fn breaches(history: Vec<Operation>, entries: &[Entry]) -> usize {
        sold_out(&Evidence {
            history,
            ledgers: vec![ledger(2, entries)],
            ..Evidence::default()
        })
        .breaches
    }

    #[test]
    fn a_refusal_after_the_last_unit_is_founded() {
        let history = vec![placed(0, 10, 1, 2), refused(11, 12, "b", 1)];
        assert_eq!(breaches(history, &[Entry::Reserve(1, 2)]), 0);
    }

    #[test]
    fn a_refusal_while_nothing_had_been_sold_is_found() {
        let history = vec![refused(0, 5, "b", 1), placed(6, 10, 1, 2)];
        assert_eq!(breaches(history, &[Entry::Reserve(1, 2)]), 1);
    }

    #[test]
    fn a_refusal_during_the_sale_may_rest_on_either_side_of_it() {
        let history = vec![placed(0, 10, 1, 2), refused(5, 8, "b", 1)];
        assert_eq!(breaches(history, &[Entry::Reserve(1, 2)]), 0);
    }

    #[test]
    fn a_refusal_after_more_units_were_acknowledged_is_found() {
        let history = vec![
            placed(0, 10, 1, 2),
            adjusted(11, 12, level(7, 2, 3)),
            refused(13, 14, "b", 3),
        ];
        let entries = [Entry::Reserve(1, 2), Entry::Adjust(5)];
        assert_eq!(breaches(history, &entries), 1);
    }

    #[test]
    fn a_refusal_for_more_than_there_is_is_founded() {
        let history = vec![
            placed(0, 10, 1, 2),
            adjusted(11, 12, level(7, 2, 3)),
            refused(13, 14, "b", 6),
        ];
        let entries = [Entry::Reserve(1, 2), Entry::Adjust(5)];
        assert_eq!(breaches(history, &entries), 0);
    }

    #[test]
    fn units_that_came_back_and_were_seen_count_as_there() {
        let history = vec![
            placed(0, 10, 1, 2),
            stock_read(20, 21, true, level(2, 0, 3)),
            refused(22, 23, "b", 1),
        ];
        let entries = [Entry::Reserve(1, 2), Entry::Release(1, 2)];
        assert_eq!(breaches(history, &entries), 1);
    }

    #[test]
    fn an_entry_that_nobody_can_date_excuses() {
        let history = vec![refused(0, 5, "b", 1)];
        assert_eq!(breaches(history, &[Entry::Reserve(9, 2)]), 0);
    }
}
