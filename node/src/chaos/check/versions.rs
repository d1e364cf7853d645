//! Real time: what began after something was shown does not show less.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Evidence, Verdict, at};
use crate::chaos::history::{Operation, Row};

/// An answer that showed a version.
struct Sight<'a> {
    version: i64,
    operation: &'a Operation,
}

/// For each row, no fresh answer shows less than one that had ended before it
/// was asked for, and no two writes make one version.
pub(super) fn order(evidence: &Evidence) -> Verdict {
    let mut rows: BTreeMap<Row, Vec<Sight<'_>>> = BTreeMap::new();
    for operation in &evidence.history {
        if let Some((row, version)) = operation.shown().and_then(|shown| shown.version) {
            rows.entry(row).or_default().push(Sight { version, operation });
        }
    }
    let mut breaches = Vec::new();
    let mut count = 0;
    for (row, sights) in &rows {
        count += sights.len();
        breaches.extend(stale(*row, sights));
        breaches.extend(doubled(*row, sights));
    }
    Verdict::new(
        "real time",
        "writes and no-cache reads see all that was shown before they began, and no version is made twice",
        format!("{count} answers about {} rows", rows.len()),
        breaches,
    )
}

fn stale(row: Row, sights: &[Sight<'_>]) -> Vec<String> {
    let mut by_end: Vec<&Sight<'_>> = sights.iter().collect();
    by_end.sort_by_key(|sight| sight.operation.ended);
    let mut by_start: Vec<&Sight<'_>> = sights
        .iter()
        .filter(|sight| sight.operation.action.is_fresh())
        .collect();
    by_start.sort_by_key(|sight| sight.operation.began);
    let mut breaches = Vec::new();
    let mut ended = by_end.into_iter().peekable();
    let mut seen: Option<(i64, Duration)> = None;
    for sight in by_start {
        while let Some(before) = ended.next_if(|before| before.operation.ended < sight.operation.began) {
            if seen.is_none_or(|(version, _)| before.version > version) {
                seen = Some((before.version, before.operation.ended));
            }
        }
        let Some((version, shown_at)) = seen else { continue };
        // A write makes a version of its own.
        let least = version + i64::from(sight.operation.action.is_write());
        if sight.version < least {
            breaches.push(format!(
                "{row:?}: {}, begun at {}, shows version {}; version {version} had been shown at {}",
                sight.operation.action.kind(),
                at(sight.operation.began),
                sight.version,
                at(shown_at)
            ));
        }
    }
    breaches
}

fn doubled(row: Row, sights: &[Sight<'_>]) -> Vec<String> {
    let mut made: HashMap<i64, u32> = HashMap::new();
    for sight in sights.iter().filter(|sight| sight.operation.action.is_write()) {
        *made.entry(sight.version).or_default() += 1;
    }
    made.into_iter()
        .filter(|(_, times)| *times > 1)
        .map(|(version, times)| format!("{row:?}: version {version} was made {times} times"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::{adjusted, level, stock_read};
    use super::order;
    use crate::chaos::history::Operation;

    fn breaches(history: Vec<Operation>) -> usize {
        order(&Evidence {
            history,
            ..Evidence::default()
        })
        .breaches
    }

    #[test]
    fn answers_that_overlap_may_come_in_any_order() {
        let history = vec![
            adjusted(0, 10, level(6, 0, 3)),
            adjusted(0, 12, level(5, 0, 2)),
            stock_read(5, 11, true, level(5, 0, 2)),
            stock_read(13, 14, true, level(6, 0, 3)),
        ];
        assert_eq!(breaches(history), 0);
    }

    #[test]
    fn a_fresh_read_that_misses_an_acknowledged_write_is_found() {
        let history = vec![
            adjusted(0, 10, level(6, 0, 2)),
            stock_read(11, 12, true, level(5, 0, 1)),
        ];
        assert_eq!(breaches(history), 1);
    }

    #[test]
    fn a_read_that_may_be_old_is_let_pass_but_what_it_showed_counts() {
        let history = vec![
            adjusted(0, 10, level(6, 0, 3)),
            stock_read(11, 12, false, level(5, 0, 2)),
        ];
        assert_eq!(breaches(history), 0);
        let history = vec![
            stock_read(11, 12, false, level(6, 0, 3)),
            stock_read(13, 14, true, level(5, 0, 2)),
        ];
        assert_eq!(breaches(history), 1);
    }

    #[test]
    fn a_write_that_makes_an_old_version_is_found() {
        let history = vec![
            stock_read(0, 10, true, level(6, 0, 3)),
            adjusted(11, 12, level(7, 0, 3)),
        ];
        assert_eq!(breaches(history), 1);
    }

    #[test]
    fn a_version_that_two_writes_made_is_found() {
        let history = vec![adjusted(0, 10, level(6, 0, 2)), adjusted(0, 11, level(7, 0, 2))];
        assert_eq!(breaches(history), 1);
    }
}
