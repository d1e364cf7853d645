//! Stock: counters, the ledger that explains them, and what is promised.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_domain::{Movement, MovementKind, OrderId, ProductId, Reservation};

use crate::model::tables::Tables;

/// A product's counters are the sums of its ledger, which begins with the initial stock.
pub(super) fn counters(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for (id, row) in &tables.stock {
        let ledger = tables.movements.get(id).map_or(&[][..], Vec::as_slice);
        let sum = |delta: fn(&Movement) -> i64| ledger.iter().map(delta).map(i128::from).sum::<i128>();
        let on_hand = sum(|entry| entry.change.delta_on_hand);
        let reserved = sum(|entry| entry.change.delta_reserved);
        let mut first = ledger.iter();
        let begins = first.any(|entry| entry.change.kind == MovementKind::Initial);
        let initial = sum(|entry| match entry.change.kind {
            MovementKind::Initial => entry.change.delta_on_hand,
            _ => 0,
        });
        let told = (
            begins.then_some(initial),
            on_hand,
            reserved,
            ledger.last().map(|entry| entry.level.version),
        );
        let stated = (
            Some(i128::from(row.initial)),
            i128::from(row.level.on_hand),
            i128::from(row.level.reserved),
            Some(row.level.version),
        );
        if told != stated {
            found.push(format!(
                "product {id} states initial, on hand, reserved, version {stated:?}; its ledger {told:?}"
            ));
        }
    }
    found
}

/// A product's ledger has every version once, and each entry follows from the one before.
pub(super) fn ledger(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for (id, ledger) in &tables.movements {
        let mut before = (0, 0, 0);
        for Movement { change, level } in ledger {
            let (version, on_hand, reserved) = before;
            let follows = (
                version + 1,
                on_hand + i128::from(change.delta_on_hand),
                reserved + i128::from(change.delta_reserved),
            );
            let stated = (
                level.version,
                i128::from(level.on_hand),
                i128::from(level.reserved),
            );
            if stated != follows {
                found.push(format!(
                    "product {id} has version, on hand, reserved {stated:?} after {before:?} and a change \
                     by {} and {}",
                    change.delta_on_hand, change.delta_reserved
                ));
            }
            before = stated;
        }
    }
    found
}

/// No product promises more units than it has, now and at every entry of the ledger.
pub(super) fn oversold(tables: &Tables) -> Vec<String> {
    let standing = tables.stock.values().map(|row| row.level);
    let entries = tables.movements.values().flatten().map(|entry| entry.level);
    standing
        .chain(entries)
        .filter(|level| level.reserved > level.on_hand)
        .map(|level| {
            format!(
                "product {} promises {} of {} units at version {}",
                level.product_id, level.reserved, level.on_hand, level.version
            )
        })
        .collect()
}

/// A product's reserved units are those that its reservations still hold.
pub(super) fn reserved(tables: &Tables) -> Vec<String> {
    let mut held: BTreeMap<ProductId, u64> = BTreeMap::new();
    for reservation in tables.reservations.values() {
        *held.entry(reservation.product_id).or_default() += u64::from(reservation.held());
    }
    let products: BTreeSet<_> = tables.stock.keys().chain(held.keys()).collect();
    let mut found = Vec::new();
    for id in products {
        let stated = tables.stock.get(id).map(|row| u64::from(row.level.reserved));
        let promised = held.get(id).copied().unwrap_or(0);
        if stated != Some(promised) {
            found.push(format!(
                "product {id} states {stated:?} reserved units; its reservations hold {promised}"
            ));
        }
    }
    found
}

/// What a ledger tells of a reservation.
#[derive(Default)]
struct Told {
    quantity: Option<i128>,
    shipped: i128,
    released: i128,
}

/// A reservation's units are those that the ledger reserved, shipped and released for it.
///
/// One that was barred before it was made has given everything back; the ledger knows nothing of it. In
/// later rounds the ledger has reserved once more for each at most, and what it has not had back is held.
pub(super) fn reservations(tables: &Tables) -> Vec<String> {
    let mut told: BTreeMap<(OrderId, ProductId), Told> = BTreeMap::new();
    for Movement { change, level } in tables.movements.values().flatten() {
        let Some(order_id) = change.order_id else { continue };
        let of = told.entry((order_id, level.product_id)).or_default();
        let units = i128::from(change.delta_reserved);
        match change.kind {
            MovementKind::Reserve => of.quantity = Some(of.quantity.unwrap_or(0) + units),
            MovementKind::Ship => of.shipped -= units,
            MovementKind::Release => of.released -= units,
            MovementKind::Initial | MovementKind::Adjustment => {}
        }
    }
    let all: BTreeSet<_> = tables.reservations.keys().chain(told.keys()).collect();
    let is_sound = |row: Option<&Reservation>, told: Option<&Told>| match (row, told) {
        (Some(row), told) if row.round > 0 => told.is_some_and(|told| {
            let [quantity, shipped, released] =
                [row.quantity.get(), row.progress.shipped, row.progress.released].map(i128::from);
            let reserved = told.quantity.unwrap_or(0);
            reserved - told.released == quantity - released
                && told.shipped == shipped
                && reserved <= quantity * (i128::from(row.round) + 1)
        }),
        (Some(row), told) => {
            let counts = [row.quantity.get(), row.progress.shipped, row.progress.released];
            let counts = counts.map(i128::from);
            let ledger = told.and_then(|told| Some([told.quantity?, told.shipped, told.released]));
            ledger == Some(counts)
                || ledger.is_none()
                    && row.progress.shipped == 0
                    && row.progress.released == row.quantity.get()
        }
        // Units that left without having been promised break the counters of reserved units instead.
        (None, told) => told.is_none_or(|told| told.quantity.is_none()),
    };
    all.into_iter()
        .filter(|key| !is_sound(tables.reservations.get(key), told.get(key)))
        .map(|(order_id, product_id)| {
            format!(
                "the reservation of product {product_id} for order {order_id} is not what the ledger tells"
            )
        })
        .collect()
}
