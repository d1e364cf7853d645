//! The memory in which passwords are verified, kept from one to the next.
//!
//! It is some 19 MiB each time. To get so much from the system, cleared page by page, and to clear it once
//! more takes a good part of the time that hashing does.

use argon2::Block;
use parking_lot::Mutex;

/// How many are kept, so that a node with many cores does not hold on to what it needed once.
const KEPT_MAX: usize = 4;

/// Memory that is not in use.
#[derive(Default)]
pub(super) struct Memory {
    spare: Mutex<Vec<Vec<Block>>>,
}

impl Memory {
    /// Works in so many blocks, which hold anything.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let spare = self.spare.lock().pop();
        let mut memory = spare.unwrap_or_default();
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        let worked = work(&mut memory[..blocks]);
        let mut spare = self.spare.lock();
        if spare.len() < KEPT_MAX {
            spare.push(memory);
        }
        worked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_lent_as_large_as_it_is_wanted() {
        let memory = Memory::default();
        for blocks in [8, 16, 8] {
            assert_eq!(memory.lend(blocks, |blocks| blocks.len()), blocks);
        }
        assert_eq!(memory.spare.lock().len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_a_few() {
        let memory = Memory::default();
        let mut nest: Box<dyn FnOnce(&Memory)> = Box::new(|_| ());
        for _ in 0..2 * KEPT_MAX {
            let inner = nest;
            nest = Box::new(move |memory: &Memory| memory.lend(1, |_| inner(memory)));
        }
        nest(&memory);
        assert_eq!(memory.spare.lock().len(), KEPT_MAX);
    }
}
