//! Chance that can be repeated.

/// `SplitMix64`, by Steele, Lea and Flood: the same seed throws the same numbers everywhere.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// Draws a number below `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let n = self.throw() % u64::from(bound);
        u32::try_from(n).expect("is below a u32")
    }

    /// Tells yes in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let bound = u32::try_from(from.len()).expect("is short");
        if bound == 0 {
            return None;
        }
        from.get(usize::try_from(self.below(bound)).expect("is an index"))
    }
}
