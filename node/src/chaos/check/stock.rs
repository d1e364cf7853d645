//! The ledger adds up, and whatever was told of stock stands in it.

use super::{Evidence, Verdict, at};
use crate::chaos::history::{Level, Row};

/// Versions are dense, each entry follows from the one before, and nothing is
/// oversold.
pub(super) fn ledger(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    for (product, ledger) in evidence.ledgers.iter().enumerate() {
        let mut before = Level {
            on_hand: 0,
            reserved: 0,
            version: 0,
        };
        for movement in ledger {
            let Level {
                on_hand,
                reserved,
                version,
            } = movement.level;
            if version != before.version + 1 {
                breaches.push(format!(
                    "product {product}: version {version} follows {}",
                    before.version
                ));
            }
            if on_hand != before.on_hand + movement.delta_on_hand
                || reserved != before.reserved + movement.delta_reserved
            {
                breaches.push(format!(
                    "product {product}: version {version} does not follow from the one before"
                ));
            }
            if reserved < 0 || reserved > on_hand {
                breaches.push(format!(
                    "product {product}: {reserved} of {on_hand} units are reserved at version {version}"
                ));
            }
            before = movement.level;
        }
    }
    let entries: usize = evidence.ledgers.iter().map(Vec::len).sum();
    Verdict::new(
        "conservation",
        "a ledger has every version once, its entries add up, and nothing is oversold",
        format!("{entries} movements of {} products", evidence.ledgers.len()),
        breaches,
    )
}

/// No answer told a level that never was.
pub(super) fn shown(evidence: &Evidence) -> Verdict {
    let mut breaches = Vec::new();
    let mut count = 0;
    for operation in &evidence.history {
        let Some(shown) = operation.shown() else { continue };
        let (Some((Row::Stock(product), version)), Some(told)) = (shown.version, shown.level) else {
            continue;
        };
        count += 1;
        let stored = evidence.ledgers.get(product).and_then(|ledger| {
            let entry = usize::try_from(version).ok()?.checked_sub(1)?;
            Some(ledger.get(entry)?.level)
        });
        if stored != Some(told) {
            breaches.push(format!(
                "at {} version {version} of product {product} was told as {told:?}, and is stored as {stored:?}",
                at(operation.ended)
            ));
        }
    }
    Verdict::new(
        "told",
        "a level of stock that was told is one that is stored",
        format!("{count} answers with levels"),
        breaches,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Evidence;
    use super::super::sample::{Entry, adjusted, ledger as entries, level, stock_read};
    use super::{ledger, shown};

    fn sound() -> Evidence {
        let ledger = entries(5, &[Entry::Reserve(1, 2), Entry::Adjust(3), Entry::Release(1, 2)]);
        Evidence {
            history: vec![
                adjusted(0, 5, level(8, 2, 3)),
                stock_read(6, 7, true, level(8, 0, 4)),
            ],
            ledgers: vec![ledger],
            ..Evidence::default()
        }
    }

    #[test]
    fn what_adds_up_and_was_told_as_it_is_holds() {
        assert!(ledger(&sound()).holds() && shown(&sound()).holds());
    }

    #[test]
    fn a_missing_version_is_found() {
        let mut evidence = sound();
        evidence.ledgers[0].remove(2);
        assert!(!ledger(&evidence).holds());
    }

    #[test]
    fn a_movement_that_changes_more_than_it_says_is_found() {
        let mut evidence = sound();
        evidence.ledgers[0][3].level.on_hand += 1;
        assert_eq!(ledger(&evidence).breaches, 1);
    }

    #[test]
    fn an_oversold_product_is_found() {
        let evidence = Evidence {
            ledgers: vec![entries(1, &[Entry::Reserve(1, 2)])],
            ..Evidence::default()
        };
        assert_eq!(ledger(&evidence).breaches, 1);
    }

    #[test]
    fn an_acknowledged_adjustment_that_is_not_stored_is_found() {
        let mut evidence = sound();
        evidence.history.push(adjusted(8, 9, level(9, 0, 5)));
        assert_eq!(shown(&evidence).breaches, 1);
    }

    #[test]
    fn a_level_that_never_was_is_found() {
        let mut evidence = sound();
        evidence.history.push(stock_read(8, 9, false, level(7, 2, 3)));
        assert_eq!(shown(&evidence).breaches, 1);
    }
}
