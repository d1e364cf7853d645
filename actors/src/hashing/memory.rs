//! The memory in which passwords are verified, kept from one to the next.
//!
//! It is some 19 MiB each time. To get so much from the system, cleared page by page, and to clear it once
//! more takes a good part of the time that hashing does. What the last verification left in it is not wiped,
//! as it would not be in memory that was given back.

use argon2::Block;
use parking_lot::Mutex;

/// How many are kept, so that a node with many cores does not hold on to what it needed once.
const KEPT_MAX: usize = 4;

/// Memory that is not in use, of one size.
pub(super) struct Memory {
    blocks: usize,
    spare: Mutex<Vec<Vec<Block>>>,
}

impl Memory {
    /// Keeps memory of so many blocks.
    pub(super) fn of(blocks: usize) -> Self {
        Self {
            blocks,
            spare: Mutex::default(),
        }
    }

    /// Works in so many blocks, which hold anything; `None`: it has none of that size, and nothing was done.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Option<T> {
        if blocks != self.blocks {
            return None;
        }
        let spare = self.spare.lock().pop();
        let mut memory = spare.unwrap_or_else(|| vec![Block::default(); blocks]);
        let worked = work(&mut memory);
        let mut spare = self.spare.lock();
        if spare.len() < KEPT_MAX {
            spare.push(memory);
        }
        Some(worked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_lent_again_and_in_one_size() {
        let memory = Memory::of(8);
        for _ in 0..3 {
            assert_eq!(memory.lend(8, |blocks| blocks.len()), Some(8));
        }
        assert_eq!(memory.lend(16, |blocks| blocks.len()), None);
        assert_eq!(memory.spare.lock().len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_a_few() {
        fn nest(memory: &Memory, depth: usize) {
            if depth > 0 {
                memory.lend(1, |_| nest(memory, depth - 1)).expect("memory");
            }
        }
        let memory = Memory::of(1);
        nest(&memory, 2 * KEPT_MAX);
        assert_eq!(memory.spare.lock().len(), KEPT_MAX);
    }
}
