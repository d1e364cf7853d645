//! Stock: how many units there are, how many are promised, and the ledger that explains both.
//!
//! A [`StockLevel`] changes only by a [`StockChange`]; each makes one [`Movement`] and one version.
//! Order units go through a [`Reservation`], whose progress is stated as a target and only ever
//! grows, so that telling a product twice to ship or to release is telling it once.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{MovementId, OrderId, ProductId, Refusal, Shortage, Timestamp, UserId};

mod reservation;

pub use reservation::{Progress, Reservation};

/// The most units that a product can have.
pub const ON_HAND_MAX: u32 = 1_000_000_000;

/// A number of whole sale units, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(NonZeroU32);

impl Quantity {
    /// The most units that one order line may ask for.
    pub const LINE_MAX: u32 = 10_000;

    /// Makes a quantity between 1 and [`Self::LINE_MAX`].
    pub fn new(units: u32) -> Option<Self> {
        NonZeroU32::new(units)
            .filter(|units| units.get() <= Self::LINE_MAX)
            .map(Self)
    }

    /// Returns the number of units.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// A product's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// The product.
    pub product_id: ProductId,
    /// Units in the warehouse.
    pub on_hand: u32,
    /// Of these, units promised to orders that still hold; never more than `on_hand`.
    pub reserved: u32,
    /// Counts movements; the first, which states the initial stock, is 1.
    pub version: i64,
}

/// Why a movement happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// The stock with which the product was made.
    Initial,
    /// Somebody counted, received or wrote off units.
    Adjustment,
    /// An order reserved units.
    Reserve,
    /// An order gave reserved units back.
    Release,
    /// Reserved units left the warehouse.
    Ship,
}

impl MovementKind {
    /// Returns the kind's name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Ship => "ship",
        }
    }
}

/// A change of counters that is to become a movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChange {
    /// Names the movement; made before the change is tried, so that trying twice is seen.
    pub movement_id: MovementId,
    /// Why.
    pub kind: MovementKind,
    /// Added to `on_hand`.
    pub delta_on_hand: i64,
    /// Added to `reserved`.
    pub delta_reserved: i64,
    /// The order that caused it.
    pub order_id: Option<OrderId>,
    /// A short reason, such as `received`.
    pub reason: Option<String>,
    /// More words on it.
    pub note: Option<String>,
    /// Who caused it.
    pub actor_id: UserId,
    /// When.
    pub at: Timestamp,
}

/// An entry of the ledger: a change, and the counters that it left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The change.
    pub change: StockChange,
    /// The counters after it; `level.version` is the entry's own.
    pub level: StockLevel,
}

impl StockLevel {
    /// Returns the units that can still be sold.
    pub const fn available(&self) -> u32 {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// Applies a change.
    ///
    /// # Errors
    /// [`Refusal::InsufficientStock`]: it would promise more units than there are.
    /// [`Refusal::Invalid`]: it would exceed [`ON_HAND_MAX`] or go below zero.
    pub fn apply(&self, change: &StockChange) -> Result<Self, Refusal> {
        let on_hand = i64::from(self.on_hand).checked_add(change.delta_on_hand);
        let reserved = i64::from(self.reserved).checked_add(change.delta_reserved);
        let (Some(on_hand), Some(reserved)) = (on_hand, reserved) else {
            return Err(Refusal::invalid("/delta", "is too large"));
        };
        if on_hand > i64::from(ON_HAND_MAX) {
            return Err(Refusal::invalid(
                "/delta",
                format!("would exceed {ON_HAND_MAX} units"),
            ));
        }
        if reserved < 0 {
            return Err(Refusal::invalid("/delta", "would release more than is reserved"));
        }
        if reserved > on_hand {
            let wanted = change.delta_reserved.max(0) - change.delta_on_hand.min(0);
            return Err(Refusal::InsufficientStock(vec![Shortage {
                product_id: self.product_id,
                requested: u32::try_from(wanted).unwrap_or(u32::MAX),
                available: self.available(),
            }]));
        }
        // `0 <= reserved <= on_hand <= ON_HAND_MAX` was just shown, so both fit.
        let (Ok(on_hand), Ok(reserved)) = (u32::try_from(on_hand), u32::try_from(reserved)) else {
            return Err(Refusal::invalid("/delta", "is out of range"));
        };
        Ok(Self {
            on_hand,
            reserved,
            version: self.version + 1,
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

    fn change(kind: MovementKind, delta_on_hand: i64, delta_reserved: i64) -> StockChange {
        StockChange {
            movement_id: MovementId::mint(AT, [0; 10]),
            kind,
            delta_on_hand,
            delta_reserved,
            order_id: None,
            reason: None,
            note: None,
            actor_id: UserId::mint(AT, [0; 10]),
            at: AT,
        }
    }

    fn any_change() -> impl Strategy<Value = StockChange> {
        let units = -2_000_i64..2_000;
        prop_oneof![
            units.clone().prop_map(|n| change(MovementKind::Adjustment, n, 0)),
            (1_i64..50).prop_map(|n| change(MovementKind::Reserve, 0, n)),
            (1_i64..50).prop_map(|n| change(MovementKind::Release, 0, -n)),
            (1_i64..50).prop_map(|n| change(MovementKind::Ship, -n, -n)),
            any::<i64>().prop_map(|n| change(MovementKind::Adjustment, n, 0)),
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_changes_breaks_conservation(changes in prop::collection::vec(any_change(), 0..200)) {
            let product_id = ProductId::mint(AT, [7; 10]);
            let mut level = StockLevel { product_id, on_hand: 100, reserved: 0, version: 1 };
            let (mut on_hand, mut reserved, mut applied) = (100_i64, 0_i64, 0_i64);
            for change in &changes {
                if let Ok(next) = level.apply(change) {
                    on_hand += change.delta_on_hand;
                    reserved += change.delta_reserved;
                    applied += 1;
                    level = next;
                }
                prop_assert!(level.reserved <= level.on_hand);
                prop_assert_eq!(i64::from(level.on_hand), on_hand);
                prop_assert_eq!(i64::from(level.reserved), reserved);
                prop_assert_eq!(level.version, 1 + applied);
            }
        }
    }

    #[test]
    fn the_last_unit_is_sold_once() {
        let level = StockLevel {
            product_id: ProductId::mint(AT, [7; 10]),
            on_hand: 1,
            reserved: 0,
            version: 1,
        };
        let sold = level
            .apply(&change(MovementKind::Reserve, 0, 1))
            .expect("the last unit");
        let refused = sold.apply(&change(MovementKind::Reserve, 0, 1));
        let shortage = Shortage {
            product_id: level.product_id,
            requested: 1,
            available: 0,
        };
        assert_eq!(refused, Err(Refusal::InsufficientStock(vec![shortage])));
    }

    #[test]
    fn an_order_line_has_between_one_and_ten_thousand_units() {
        assert_eq!(Quantity::new(0), None);
        assert_eq!(Quantity::new(10_001), None);
        assert_eq!(Quantity::new(10_000).map(Quantity::get), Some(10_000));
    }
}
