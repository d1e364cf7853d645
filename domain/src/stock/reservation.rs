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
    /// How often the order has asked for its units anew; 0 as it was placed. It only grows.
    pub round: u32,
    /// What has become of the units in this round.
    pub progress: Progress,
}

/// What has become of a reservation's units. Both counts only grow within a round.
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

    /// Moves towards `target` of `round`; returns the result and the steps that lead there.
    ///
    /// A target of an earlier round, or one that is behind in some count, leaves what it is behind of
    /// alone, and one that asks for more than is held gets what is held: repeated, late and reordered
    /// targets are harmless. If the order has ended a round in which the units were never promised, all
    /// are given back, and none can be promised in that round any more.
    pub fn advance(&self, round: u32, target: Progress) -> (Self, Vec<Step>) {
        let mut next = *self;
        let mut steps = Vec::new();
        if round < self.round {
            return (next, steps);
        }
        let target = if round > self.round {
            let shipped = self.progress.shipped;
            Progress {
                shipped,
                released: self.quantity.get().saturating_sub(shipped),
            }
        } else {
            target
        };
        next.round = round;
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

    /// Promises the units anew in a later round; returns the result, and how many are to be taken from
    /// what can be sold. Those that are held still, since nobody told to give them back, stay so.
    ///
    /// Returns `None` if this round, or a later one, has begun.
    pub fn renew(&self, round: u32) -> Option<(Self, u32)> {
        let next = Self {
            round,
            progress: Progress {
                released: 0,
                ..self.progress
            },
            ..*self
        };
        (round > self.round).then(|| (next, next.held() - self.held()))
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
            round: 0,
            progress: Progress::default(),
        }
    }

    #[derive(Clone, Debug)]
    enum Told {
        Target(u32, Progress),
        Renew(u32),
    }

    fn any_told() -> impl Strategy<Value = Told> {
        let target = (0_u32..4, 0_u32..120, 0_u32..120);
        prop_oneof![
            4 => target.prop_map(|(round, shipped, released)| Told::Target(round, Progress { shipped, released })),
            1 => (0_u32..4).prop_map(Told::Renew),
        ]
    }

    proptest! {
        #[test]
        fn units_are_shipped_released_or_held_and_never_two_of_these(
            units in 1_u32..100,
            told in prop::collection::vec(any_told(), 0..30),
        ) {
            let mut reservation = reservation(units);
            let (mut reserved, mut returned) = (units, 0);
            for told in told {
                let before = reservation;
                match told {
                    Told::Target(round, target) => {
                        let (next, steps) = reservation.advance(round, target);
                        let moved: u32 = steps.iter().map(|step| step.units).sum();
                        prop_assert_eq!(before.held() - next.held(), moved);
                        let released = steps.iter().filter(|step| step.kind == MovementKind::Release);
                        returned += released.map(|step| step.units).sum::<u32>();
                        if round > before.round {
                            prop_assert_eq!(next.held(), 0, "what was not promised is barred");
                        }
                        prop_assert_eq!(next.advance(round, target), (next, vec![]), "a repeat does nothing");
                        reservation = next;
                    }
                    Told::Renew(round) => match reservation.renew(round) {
                        None => prop_assert!(round <= before.round),
                        Some((next, taken)) => {
                            prop_assert_eq!(next.held() - before.held(), taken);
                            prop_assert_eq!(next.renew(round), None, "a repeat does nothing");
                            reserved += taken;
                            reservation = next;
                        }
                    },
                }
                let Progress { shipped, released } = reservation.progress;
                prop_assert!(reservation.round >= before.round && shipped >= before.progress.shipped);
                prop_assert!(reservation.round > before.round || released >= before.progress.released);
                prop_assert_eq!(shipped + released + reservation.held(), units);
                prop_assert_eq!(reserved - returned - shipped, reservation.held(), "as the ledger has it");
            }
        }

        #[test]
        fn what_was_told_of_an_earlier_round_takes_nothing_from_a_later_one(
            units in 1_u32..100,
            late in prop::collection::vec((0_u32..120, 0_u32..120), 0..10),
        ) {
            let (mut renewed, _) = reservation(units).renew(1).expect("a later round");
            for (shipped, released) in late {
                let (next, steps) = renewed.advance(0, Progress { shipped, released });
                prop_assert_eq!(steps, vec![]);
                renewed = next;
            }
            prop_assert_eq!(renewed.held(), units);
        }
    }
}
