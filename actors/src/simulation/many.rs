//! Many histories, on all cores.

use std::{
    num::NonZero,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use parking_lot::Mutex;

use super::{Failure, simulate};

/// Runs the histories of many seeds; returns the failure of the smallest seed that was seen to fail.
///
/// `done` is told after each history. The first failure ends the run: no further seed is begun.
pub fn simulate_many(seeds: Range<u64>, done: impl Fn() + Sync) -> Option<Box<Failure>> {
    let (next, has_failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let failure: Mutex<Option<Box<Failure>>> = Mutex::new(None);
    let work = || {
        while !has_failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Err(found) = simulate(seed) {
                has_failed.store(true, Ordering::Relaxed);
                let failure = &mut *failure.lock();
                if failure.as_ref().is_none_or(|other| found.seed < other.seed) {
                    *failure = Some(found);
                }
            }
            done();
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    failure.into_inner()
}
