//! An executor in virtual time: tasks in groups, which may be frozen or killed like processes.
//!
//! Which of several ready tasks runs next is drawn from the seed, so that histories differ in their
//! interleavings and every one can be had again. Nothing here waits: time jumps to the next timer.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// What a task belongs to: it runs, stands still and dies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// What goes on whatever happens: the network, the faults, the end.
    World,
    /// Statements that have reached Postgres.
    Postgres,
    /// A client.
    Client(usize),
    /// One start of a node.
    Process(u32),
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    group: Group,
    /// Taken out while it runs.
    work: Option<Work>,
    waker: Waker,
}

struct State {
    now: Duration,
    rng: SmallRng,
    next_id: u64,
    tasks: BTreeMap<u64, Task>,
    ready: Vec<u64>,
    is_ready: BTreeSet<u64>,
    timers: BTreeMap<(Duration, u64), Waker>,
    frozen: BTreeSet<Group>,
    /// Ready tasks of frozen groups.
    held: BTreeSet<u64>,
}

/// The executor; clones share it.
#[derive(Clone)]
pub(super) struct Executor(Arc<Inner>);

struct Inner(Mutex<State>);

struct TaskWaker {
    id: u64,
    executor: Weak<Inner>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(inner) = self.executor.upgrade() {
            inner.0.lock().make_ready(self.id);
        }
    }
}

impl State {
    fn make_ready(&mut self, id: u64) {
        if self.tasks.contains_key(&id) && self.is_ready.insert(id) {
            self.ready.push(id);
        }
    }

    /// Draws the next task that may run.
    fn next_ready(&mut self) -> Option<u64> {
        while !self.ready.is_empty() {
            let index = self.rng.random_range(0..self.ready.len());
            let id = self.ready.swap_remove(index);
            self.is_ready.remove(&id);
            match self.tasks.get(&id) {
                Some(task) if self.frozen.contains(&task.group) => {
                    self.held.insert(id);
                }
                Some(_) => return Some(id),
                None => {}
            }
        }
        None
    }
}

impl Executor {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Inner(Mutex::new(State {
            now: Duration::ZERO,
            rng: SmallRng::seed_from_u64(seed),
            next_id: 0,
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            is_ready: BTreeSet::new(),
            timers: BTreeMap::new(),
            frozen: BTreeSet::new(),
            held: BTreeSet::new(),
        }))))
    }

    /// Returns the virtual time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.0.0.lock().now
    }

    /// Draws from the seed.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.0.0.lock().rng)
    }

    /// Starts a task.
    pub(super) fn spawn(&self, group: Group, work: impl Future<Output = ()> + Send + 'static) {
        let state = &mut *self.0.0.lock();
        let id = state.next_id;
        state.next_id += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            executor: Arc::downgrade(&self.0),
        }));
        let work: Option<Work> = Some(Box::pin(work));
        state.tasks.insert(id, Task { group, work, waker });
        state.make_ready(id);
    }

    /// Waits in virtual time.
    pub(super) fn sleep(&self, pause: Duration) -> Sleep {
        Sleep {
            executor: self.clone(),
            until: self.now() + pause,
            timer: None,
        }
    }

    /// Waits for `work`, at most for `limit`.
    pub(super) async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let (work, sleep) = (std::pin::pin!(work), std::pin::pin!(self.sleep(limit)));
        match futures_util::future::select(work, sleep).await {
            futures_util::future::Either::Left((done, _)) => Some(done),
            futures_util::future::Either::Right(_) => None,
        }
    }

    /// Lets a group's tasks stand still, or go on.
    pub(super) fn freeze(&self, group: Group, freeze: bool) {
        let state = &mut *self.0.0.lock();
        if freeze {
            state.frozen.insert(group);
        } else if state.frozen.remove(&group) {
            for id in std::mem::take(&mut state.held) {
                state.make_ready(id);
            }
        }
    }

    /// Ends all tasks of a group, wherever they stand.
    pub(super) fn kill(&self, group: Group) {
        let killed: Vec<Task> = {
            let state = &mut *self.0.0.lock();
            state.frozen.remove(&group);
            let ids: Vec<u64> = state
                .tasks
                .iter()
                .filter_map(|(id, task)| (task.group == group).then_some(*id))
                .collect();
            ids.iter().filter_map(|id| state.tasks.remove(id)).collect()
        };
        // Outside of the lock: what a task drops may wake another.
        drop(killed);
    }

    /// Ends all tasks.
    pub(super) fn end(&self) {
        loop {
            let tasks = std::mem::take(&mut self.0.0.lock().tasks);
            if tasks.is_empty() {
                return;
            }
            // Outside of the lock: what a task drops may wake another.
            drop(tasks);
        }
    }

    /// Runs everything that happens before `end`, where time stands then.
    pub(super) fn run_until(&self, end: Duration) {
        loop {
            while let Some(id) = self.next_ready() {
                self.poll(id);
            }
            let Some(due) = self.next_timer(end) else { return };
            due.wake();
        }
    }

    fn next_ready(&self) -> Option<u64> {
        self.0.0.lock().next_ready()
    }

    /// Lets time jump to the next timer before `end`.
    fn next_timer(&self, end: Duration) -> Option<Waker> {
        let state = &mut *self.0.0.lock();
        let is_due = state
            .timers
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= end);
        if !is_due {
            state.now = end;
            return None;
        }
        let ((at, _), waker) = state.timers.pop_first()?;
        state.now = state.now.max(at);
        Some(waker)
    }

    fn poll(&self, id: u64) {
        let taken = {
            let state = &mut *self.0.0.lock();
            let task = state.tasks.get_mut(&id);
            task.and_then(|task| task.work.take().map(|work| (work, task.waker.clone())))
        };
        let Some((mut work, waker)) = taken else { return };
        let is_done = work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let left = {
            let state = &mut *self.0.0.lock();
            match state.tasks.get_mut(&id) {
                Some(task) if !is_done => {
                    task.work = Some(work);
                    None
                }
                // It has ended, or was killed by what it did.
                _ => {
                    state.tasks.remove(&id);
                    Some(work)
                }
            }
        };
        drop(left);
    }
}

/// See [`Executor::sleep`].
pub(super) struct Sleep {
    executor: Executor,
    until: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = self.executor.clone();
        let state = &mut *executor.0.0.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let until = self.until;
        let timer = *self.timer.get_or_insert_with(|| {
            state.next_id += 1;
            (until, state.next_id)
        });
        state.timers.insert(timer, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            let waker = self.executor.0.0.lock().timers.remove(&timer);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs three tasks that note when they ran; returns the notes.
    fn notes(seed: u64, meddle: impl Fn(&Executor)) -> Vec<(usize, Duration)> {
        let executor = Executor::new(seed);
        let notes = Arc::new(Mutex::new(Vec::new()));
        for client in 0..3 {
            let (clock, notes) = (executor.clone(), Arc::clone(&notes));
            executor.spawn(Group::Client(client), async move {
                for _ in 0..3 {
                    clock.sleep(MS * 10).await;
                    notes.lock().push((client, clock.now()));
                }
            });
        }
        executor.run_until(MS * 5);
        meddle(&executor);
        executor.run_until(MS * 100);
        Arc::into_inner(notes).map(Mutex::into_inner).unwrap_or_default()
    }

    #[test]
    fn one_seed_gives_one_history_and_others_give_others() {
        let all = || (0..20).map(|seed| notes(seed, |_| {})).collect::<Vec<_>>();
        let histories = all();
        assert_eq!(all(), histories);
        assert!(histories.iter().any(|history| *history != histories[0]));
    }

    #[test]
    fn a_killed_group_ends_and_the_others_go_on() {
        let noted = notes(1, |executor| executor.kill(Group::Client(0)));
        assert_eq!(noted.len(), 6);
        assert!(noted.iter().all(|(client, _)| *client != 0));
    }

    #[test]
    fn a_frozen_group_goes_on_where_it_stood() {
        let noted = notes(1, |executor| {
            executor.freeze(Group::Client(0), true);
            let thaw = executor.clone();
            executor.spawn(Group::World, async move {
                thaw.sleep(MS * 50).await;
                thaw.freeze(Group::Client(0), false);
            });
        });
        let times: Vec<_> = noted
            .iter()
            .filter(|(client, _)| *client == 0)
            .map(|(_, at)| *at)
            .collect();
        assert_eq!(times, [MS * 55, MS * 65, MS * 75]);
    }

    #[test]
    fn a_timeout_ends_what_takes_too_long() {
        let executor = Executor::new(1);
        let (clock, outcome) = (executor.clone(), Arc::new(Mutex::new(None)));
        let found = Arc::clone(&outcome);
        executor.spawn(Group::World, async move {
            let late = clock.timeout(MS, clock.sleep(MS * 2)).await;
            let early = clock.timeout(MS * 2, clock.sleep(MS)).await;
            *found.lock() = Some((late, early));
        });
        executor.run_until(MS * 10);
        assert_eq!(*outcome.lock(), Some((None, Some(()))));
    }
}
