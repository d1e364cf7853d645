//! Making a failing plan smaller.

use super::plan::{Plan, What};

/// Histories that are tried at most.
const TRIES_MAX: usize = 300;

/// Leaves out of a failing plan whatever it fails without.
///
/// With an ask go those that name it; the others are numbered anew.
pub(super) fn smallest(plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut smallest = plan;
    let mut tries = 0;
    loop {
        let before = smallest.clone();
        for candidate in candidates(&before) {
            if tries >= TRIES_MAX {
                return smallest;
            }
            tries += 1;
            if fails(&candidate) {
                smallest = candidate;
                break;
            }
        }
        if smallest == before {
            return smallest;
        }
    }
}

/// Lists plans that are smaller by one step, the most daring first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut candidates = Vec::new();
    for faults in cuts(plan.faults.len()) {
        let mut smaller = plan.clone();
        smaller.faults.drain(faults);
        candidates.push(smaller);
    }
    for asks in cuts(plan.asks.len()) {
        candidates.extend(without_asks(plan, asks));
    }
    candidates
}

/// Lists ranges to cut out of a list: halves, quarters, and so on to single elements.
fn cuts(len: usize) -> Vec<std::ops::Range<usize>> {
    let mut cuts = Vec::new();
    let mut size = len.div_ceil(2);
    while size > 0 {
        cuts.extend((0..len).step_by(size).map(|from| from..(from + size).min(len)));
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    cuts
}

/// Leaves asks out, and with them those that name them.
fn without_asks(plan: &Plan, cut: std::ops::Range<usize>) -> Option<Plan> {
    let mut stays: Vec<bool> = (0..plan.asks.len())
        .map(|number| !cut.contains(&number))
        .collect();
    for (number, ask) in plan.asks.iter().enumerate() {
        if let Some(named) = named(&ask.what) {
            stays[number] &= stays[named];
        }
    }
    let new_number = |old: usize| stays[..old].iter().filter(|stays| **stays).count();
    let mut smaller = plan.clone();
    smaller.asks = Vec::new();
    for (number, ask) in plan.asks.iter().enumerate().filter(|(number, _)| stays[*number]) {
        let mut ask = ask.clone();
        if let Some(named) = named_mut(&mut ask.what) {
            *named = new_number(*named);
        }
        debug_assert_eq!(new_number(number), smaller.asks.len());
        smaller.asks.push(ask);
    }
    (!smaller.asks.is_empty() && smaller.asks.len() < plan.asks.len()).then_some(smaller)
}

fn named(what: &What) -> Option<usize> {
    match what {
        What::PlaceAgain(named) | What::Pay(named) | What::Cancel(named) | What::Report(named, _) => {
            Some(*named)
        }
        What::Place(_) | What::Adjust(..) => None,
    }
}

fn named_mut(what: &mut What) -> Option<&mut usize> {
    match what {
        What::PlaceAgain(named) | What::Pay(named) | What::Cancel(named) | What::Report(named, _) => {
            Some(named)
        }
        What::Place(_) | What::Adjust(..) => None,
    }
}
