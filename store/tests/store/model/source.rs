//! Where scripts come from.

use holdfast_domain::ShardId;
use uuid::Uuid;

use super::{
    dice::Dice,
    world::{Kind, id},
};

/// What makes scripts: chance, and numbers that were not used before.
pub(super) struct Source {
    pub(super) dice: Dice,
    fresh: u32,
}

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            fresh: 0,
        }
    }

    pub(super) fn fresh(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh
    }

    pub(super) fn fresh_id(&mut self, kind: Kind) -> Uuid {
        id(kind, self.fresh(), ShardId(0))
    }
}
