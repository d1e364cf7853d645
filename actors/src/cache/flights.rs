//! Reads on their way: [`Rounds`] of many keys, and the tasks that carry them out.
//!
//! A read runs in a task of its own. Whoever began it may leave without failing those who joined.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::Instrument as _;

pub(super) use super::rounds::Demand;
use super::{
    rounds::Rounds,
    ticks::{Tick, Ticks},
};

/// What a read found, and when it began.
#[derive(Clone, Debug)]
pub(super) struct Landed<V> {
    pub(super) value: V,
    /// Before anybody was asked.
    pub(super) asked: Tick,
}

type Reader<V> = oneshot::Sender<Landed<V>>;

/// Reads on their way. At most one of a key runs, and the readers are as many as the edge admits.
pub(super) struct Flights<K, V> {
    running: Mutex<HashMap<K, Rounds<Reader<V>>>>,
    ticks: Ticks,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    pub(super) fn new(ticks: Ticks) -> Self {
        Self {
            running: Mutex::default(),
            ticks,
        }
    }

    /// Reads `key`, or shares a read of it with others. `None`: the read failed.
    ///
    /// `fetch` reads, again for those who must not share. `keep` takes what was found, unless it has
    /// been outdated since it was asked for: no call of [`outdate`](Self::outdate) comes between.
    pub(super) async fn read<F>(
        self: &Arc<Self>,
        key: &K,
        demand: Demand,
        fetch: impl Fn() -> F + Send + 'static,
        keep: impl Fn(&Landed<V>) + Send + 'static,
    ) -> Option<Landed<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (reader, answer) = oneshot::channel();
        let is_first = {
            let mut running = self.running.lock();
            match running.get_mut(key) {
                Some(rounds) => {
                    rounds.join(reader, demand);
                    false
                }
                None => running.insert(key.clone(), Rounds::begin(reader)).is_none(),
            }
        };
        if is_first {
            let driver = Driver {
                flights: Arc::clone(self),
                key: key.clone(),
                is_over: false,
            };
            tokio::spawn(driver.drive(fetch, keep).in_current_span());
        }
        answer.await.ok()
    }

    /// Notes that what reads of `key` find may be out of date, if they run already.
    pub(super) fn outdate(&self, key: &K) {
        if let Some(rounds) = self.running.lock().get_mut(key) {
            rounds.outdate();
        }
    }

    /// Notes that what reads of such keys find may be out of date, if they run already.
    pub(super) fn outdate_where(&self, is_meant: impl Fn(&K) -> bool) {
        for (key, rounds) in self.running.lock().iter_mut() {
            if is_meant(key) {
                rounds.outdate();
            }
        }
    }
}

/// Carries out the reads of one key, until nobody waits for one.
struct Driver<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    /// Whether nobody waits any more: what stands under the key from then on is another's.
    is_over: bool,
}

impl<K, V> Driver<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    async fn drive<F: Future<Output = V>>(mut self, fetch: impl Fn() -> F, keep: impl Fn(&Landed<V>)) {
        while !self.is_over {
            let asked = self.flights.ticks.now();
            let value = fetch().await;
            let landed = Landed { value, asked };
            let readers = {
                let mut running = self.flights.running.lock();
                let Some(rounds) = running.get_mut(&self.key) else {
                    return;
                };
                let ended = rounds.end();
                if ended.is_current {
                    keep(&landed);
                }
                if !ended.goes_on {
                    running.remove(&self.key);
                    self.is_over = true;
                }
                ended.readers
            };
            for reader in readers {
                // Fails only if they have stopped waiting.
                let _ = reader.send(landed.clone());
            }
        }
    }
}

impl<K: Eq + Hash, V> Drop for Driver<K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            // The read panicked or the runtime ends: those who wait are told by their channels.
            self.flights.running.lock().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{sync::Semaphore, task::JoinSet};

    use super::*;

    /// A source that counts how often it is asked, and answers when it is let.
    struct Source {
        flights: Arc<Flights<&'static str, usize>>,
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
        kept: Arc<Mutex<Vec<usize>>>,
    }

    impl Source {
        fn new() -> Self {
            Self {
                flights: Arc::new(Flights::new(Ticks::begin())),
                asked: Arc::default(),
                answers: Arc::new(Semaphore::new(0)),
                kept: Arc::default(),
            }
        }

        /// Begins to read; what is found is how often the source was asked by then.
        fn read(&self, demand: Demand) -> impl Future<Output = Option<usize>> + Send + use<> {
            let (flights, kept) = (Arc::clone(&self.flights), Arc::clone(&self.kept));
            let (asked, answers) = (Arc::clone(&self.asked), Arc::clone(&self.answers));
            async move {
                let fetch = move || {
                    let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                    async move {
                        let value = asked.fetch_add(1, Ordering::Relaxed) + 1;
                        answers.acquire().await.expect("it stays open").forget();
                        value
                    }
                };
                let keep = move |landed: &Landed<usize>| kept.lock().push(landed.value);
                let landed = flights.read(&"key", demand, fetch, keep).await?;
                Some(landed.value)
            }
        }

        /// Lets other tasks run until the source was asked `times`.
        async fn asked(&self, times: usize) {
            while self.asked.load(Ordering::Relaxed) < times {
                tokio::task::yield_now().await;
            }
        }

        /// Waits until so many readers are registered.
        async fn waiting(&self, count: usize) {
            loop {
                let running = self.flights.running.lock().get("key").map_or(0, Rounds::readers);
                if running == count {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_hundred_readers_ask_once() {
        let source = Source::new();
        let mut readers = JoinSet::new();
        for _ in 0..100 {
            readers.spawn(source.read(Demand::Running));
        }
        source.waiting(100).await;
        source.answers.add_permits(1);
        assert_eq!(readers.join_all().await, vec![Some(1); 100]);
        assert_eq!(source.asked.load(Ordering::Relaxed), 1);
        assert_eq!(*source.kept.lock(), [1]);
        assert!(source.flights.running.lock().is_empty());
    }

    #[tokio::test]
    async fn a_hundred_who_must_see_the_latest_share_one_read_that_begins_after_they_came() {
        let source = Source::new();
        let first = tokio::spawn(source.read(Demand::Next));
        source.asked(1).await;
        let mut readers = JoinSet::new();
        for _ in 0..100 {
            readers.spawn(source.read(Demand::Next));
        }
        source.waiting(101).await;
        source.answers.add_permits(2);
        assert_eq!(first.await.expect("no panic"), Some(1));
        assert_eq!(readers.join_all().await, vec![Some(2); 100]);
    }

    #[tokio::test]
    async fn what_was_outdated_while_it_was_asked_for_is_answered_but_not_kept() {
        let source = Source::new();
        let before = tokio::spawn(source.read(Demand::Running));
        source.asked(1).await;
        source.flights.outdate(&"key");
        let after = tokio::spawn(source.read(Demand::Running));
        source.waiting(2).await;
        source.answers.add_permits(2);
        assert_eq!(before.await.expect("no panic"), Some(1));
        assert_eq!(after.await.expect("no panic"), Some(2));
        assert_eq!(*source.kept.lock(), [2]);
    }

    #[tokio::test]
    async fn those_who_joined_are_answered_though_the_first_has_left() {
        let source = Source::new();
        let first = tokio::spawn(source.read(Demand::Running));
        source.asked(1).await;
        let joined = tokio::spawn(source.read(Demand::Running));
        source.waiting(2).await;
        first.abort();
        source.answers.add_permits(1);
        assert_eq!(joined.await.expect("no panic"), Some(1));
    }

    #[tokio::test]
    async fn a_read_that_panics_fails_its_readers_and_nobody_after() {
        let flights = Arc::new(Flights::<&str, usize>::new(Ticks::begin()));
        let failing = || async { panic!("this read fails on purpose") };
        let failed = flights.read(&"key", Demand::Running, failing, |_| ()).await;
        assert!(failed.is_none());
        let landed = flights
            .read(&"key", Demand::Running, || async { 7 }, |_| ())
            .await;
        assert_eq!(landed.map(|landed| landed.value), Some(7));
    }
}
