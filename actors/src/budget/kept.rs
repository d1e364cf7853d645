//! A map of bounded size: above its bound it forgets first what is worth least.
//!
//! Each entry has a time until which it tells anything. A bucket is worth remembering until it is
//! full again, a lease until it expires; what is over soonest goes first, and what is over already
//! is no loss. So a flood of new keys pushes out full buckets before any that are drained.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    mem::size_of,
};

use parking_lot::Mutex;

use super::policy::Key;

/// Parts of the map, each behind a lock of its own.
const PARTS: usize = 16;

/// A bounded map. Times are nanoseconds since the node began.
pub(super) struct Kept<V> {
    parts: Box<[Mutex<Part<V>>]>,
    /// Picks the part; random, so that nobody can choose keys of one part.
    picker: RandomState,
    part_max: usize,
}

struct Part<V> {
    entries: HashMap<Key, (u64, V)>,
    /// The same keys, by how long they are worth keeping.
    order: BTreeSet<(u64, Key)>,
}

impl<V: Default> Kept<V> {
    /// Makes a map of at most about `max` entries; exactly, if that divides by the number of parts.
    pub(super) fn new(max: usize) -> Self {
        let part = || {
            Mutex::new(Part {
                entries: HashMap::new(),
                order: BTreeSet::new(),
            })
        };
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            picker: RandomState::new(),
            // Two at least: one that is asked for, and one that makes room.
            part_max: (max / PARTS).max(2),
        }
    }

    /// Works on a key's entry: on the time until which it is worth keeping, and its value. A key
    /// that is new begins at time 0, and is not kept if it stays there.
    pub(super) fn update<R>(&self, key: &Key, work: impl FnOnce(&mut u64, &mut V) -> R) -> R {
        let mut part = self.part(key).lock();
        let Part { entries, order } = &mut *part;
        let (result, before, after) = match entries.entry(*key) {
            Entry::Occupied(mut entry) => {
                let (until, value) = entry.get_mut();
                let before = *until;
                let result = work(until, value);
                (result, before, *until)
            }
            Entry::Vacant(entry) => {
                let (mut until, mut value) = (0, V::default());
                let result = work(&mut until, &mut value);
                if until > 0 {
                    entry.insert((until, value));
                }
                (result, 0, until)
            }
        };
        if before != after {
            order.remove(&(before, *key));
            order.insert((after, *key));
        }
        if entries.len() > self.part_max {
            // Not the one that was just asked for, or a newcomer would never be counted.
            let least = order.iter().find(|(_, other)| other != key).copied();
            if let Some(least) = least {
                order.remove(&least);
                entries.remove(&least.1);
            }
        }
        result
    }

    /// Forgets what tells nothing any more.
    pub(super) fn forget_before(&self, now: u64) {
        for part in &self.parts {
            let mut part = part.lock();
            while let Some((until, key)) = part.order.first().copied()
                && until <= now
            {
                part.order.pop_first();
                part.entries.remove(&key);
            }
        }
    }

    /// Returns how many keys are remembered.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().entries.len()).sum()
    }

    /// Estimates the memory that is held, in bytes: the table with a byte of control for each slot,
    /// and the nodes of the order, which are two thirds full on average.
    pub(super) fn bytes(&self) -> usize {
        let slot = size_of::<(Key, (u64, V))>() + 1;
        let link = size_of::<(u64, Key)>() * 3 / 2;
        let part = |part: &Mutex<Part<V>>| {
            let part = part.lock();
            // A table is filled to seven eighths at most.
            part.entries.capacity() * 8 / 7 * slot + part.order.len() * link
        };
        self.parts.iter().map(part).sum()
    }

    fn part(&self, key: &Key) -> &Mutex<Part<V>> {
        let hash = self.picker.hash_one(key);
        // The remainder is less than the number of parts.
        &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or_default()]
    }
}
