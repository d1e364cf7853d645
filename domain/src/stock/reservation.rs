//! Reservations: an order's units of one product, from promise to shipment or return.

use serde::{Deserialize, Serialize};

use super::{MovementKind, Quantity};
use crate::{OrderId, ProductId, UserId};

/// Units of a product that are promised to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The product.
    pub product_id: ProductId,
    /// The order.
    pub order_id: OrderId,
    /// Who sells the product.
    pub seller_id: UserId,
    /// The units that were promised.
    pub quantity: Quantity,
    /// What has become of them.
    pub progress: Progress,
}

/// What has become of a reservation's units. Both counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units that have left the warehouse.
    pub shipped: u32,
    /// Units that were given back.
    pub released: u32,
}

/// A step by which a reservation comes nearer to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// [`MovementKind::Ship`] or [`MovementKind::Release`].
    pub kind: MovementKind,
    /// Units, at least 1.
    pub units: u32,
}

impl Reservation {
    /// Returns the units that are still promised.
    pub fn held(&self) -> u32 {
        let Progress { shipped, released } = self.progress;
        self.quantity
            .get()
            .saturating_sub(shipped)
            .saturating_sub(released)
    }

    /// Moves towards `target`; returns the result and the steps that lead there.
    ///
    /// A target that is behind in some count leaves that count alone, and one that asks for more than
    /// is held gets what is held: repeated, late and reordered targets are harmless.
    pub fn advance(&self, target: Progress) -> (Self, Vec<Step>) {
        let mut next = *self;
        let mut steps = Vec::new();
        let ship = target
            .shipped
            .saturating_sub(self.progress.shipped)
            .min(next.held());
        if ship > 0 {
            next.progress.shipped += ship;
            steps.push(Step {
                kind: MovementKind::Ship,
                units: ship,
            });
        }
        let release = target
            .released
            .saturating_sub(self.progress.released)
            .min(next.held());
        if release > 0 {
            next.progress.released += release;
            steps.push(Step {
                kind: MovementKind::Release,
                units: release,
            });
        }
        (next, steps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;

    fn reservation(units: u32) -> Reservation {
        let at = Timestamp::UNIX_EPOCH;
        Reservation {
            product_id: ProductId::mint(at, [1; 10]),
            order_id: OrderId::mint(at, [2; 10]),
            seller_id: UserId::mint(at, [3; 10]),
            quantity: Quantity::new(units).expect("a quantity"),
            progress: Progress::default(),
        }
    }

    proptest! {
        #[test]
        fn units_are_shipped_released_or_held_and_never_two_of_these(
            units in 1_u32..100,
            targets in prop::collection::vec((0_u32..120, 0_u32..120), 0..20),
        ) {
            let mut reservation = reservation(units);
            for (shipped, released) in targets {
                let before = reservation.progress;
                let target = Progress { shipped, released };
                let (next, steps) = reservation.advance(target);
                let moved: u32 = steps.iter().map(|step| step.units).sum();
                prop_assert_eq!(reservation.held() - next.held(), moved);
                prop_assert!(next.progress.shipped >= before.shipped && next.progress.released >= before.released);
                prop_assert_eq!(next.progress.shipped + next.progress.released + next.held(), units);
                prop_assert_eq!(next.advance(target).1, vec![], "a repeated target does nothing");
                reservation = next;
            }
        }
    }
}
