//! Asking many times at once, and timing each answer.
//!
//! A *closed* load has as many requests under way as it has clients: the next
//! one is sent when the last one was answered. It finds the most that a server
//! does. An *open* load sends at a fixed rate whether or not there were
//! answers, and times each from when it was due, not from when there was a
//! connection for it: a server that stands still is charged for all who would
//! have come meanwhile.
//!
//! Clients are dealt out to as many threads as there are cores at most, and each
//! thread stays with its own: none wakes another one, and the generator takes less of
//! the machine that it shares with what it measures.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use super::client::Client;

/// The longest latency that is told from longer ones, in microseconds.
const LONGEST_US: u64 = 60_000_000;
/// Latencies are kept to this many digits.
const DIGITS: u8 = 3;

/// What is asked, a new one each time.
pub(super) trait Work: Send + Sync + 'static {
    /// Makes the next request of a client.
    fn request(&self, client: usize, dice: &mut SmallRng) -> Request<Full<Bytes>>;

    /// Tells whether an answer is the one that was hoped for.
    fn is_good(&self, status: StatusCode) -> bool;
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// When the last one was answered.
    Closed,
    /// So many a second, whatever is answered.
    Open(f64),
}

/// How to ask.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Whom; clients are dealt out to them in turn.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) clients: usize,
    pub(super) pace: Pace,
    /// How long the load runs before anything counts.
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

/// What was answered while it counted.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Of good answers, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Of requests that were turned away with 503.
    pub(super) refusals: Histogram<u64>,
    pub(super) failed: u64,
    /// What the first failure was.
    pub(super) failure: Option<String>,
    pub(super) elapsed: Duration,
}

impl Tally {
    /// Counts nothing yet, over a time of this length.
    pub(super) fn new(elapsed: Duration) -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are in order");
        Self {
            latencies: histogram(),
            refusals: histogram(),
            failed: 0,
            failure: None,
            elapsed,
        }
    }

    /// Good answers a second.
    pub(super) fn rate(&self) -> f64 {
        count(self.latencies.len()) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Counts a good answer.
    pub(super) fn record(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(took);
    }

    /// Adds what another one has counted over the same time.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies += &other.latencies;
        self.refusals += &other.refusals;
        self.failed += other.failed;
        self.failure = self.failure.take().or_else(|| other.failure.clone());
    }

    fn note(&mut self, work: &dyn Work, answer: anyhow::Result<(StatusCode, Bytes)>, took: Duration) {
        match answer {
            Ok((status, _)) if work.is_good(status) => self.record(took),
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => {
                let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.refusals.saturating_record(took);
            }
            Ok((status, body)) => self.fail(|| format!("{status}: {}", String::from_utf8_lossy(&body))),
            Err(error) => self.fail(|| format!("{error:#}")),
        }
    }

    /// Counts requests that were due when no client was free to send them.
    fn unsent(&mut self, unsent: u64) {
        if unsent > 0 {
            self.fail(|| "it was due, and every client waited for an answer".to_owned());
            self.failed += unsent - 1;
        }
    }

    /// Counts a failure.
    pub(super) fn fail(&mut self, why: impl FnOnce() -> String) {
        self.failed += 1;
        self.failure.get_or_insert_with(why);
    }
}

/// Reads a count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) const fn count(count: u64) -> f64 {
    count as f64
}

impl Load {
    /// Runs the load; `begun` is called when it begins to count, and `ended` when it no longer does.
    pub(super) async fn run(
        &self,
        work: Arc<dyn Work>,
        begun: impl FnOnce(),
        ended: impl FnOnce(),
    ) -> anyhow::Result<Tally> {
        let start = Instant::now();
        let (from, until) = (start + self.warm_up, start + self.warm_up + self.duration);
        let sent = Arc::new(AtomicU64::new(0));
        let clients = (0..self.clients).map(|number| Asking {
            number,
            client: Client::new(self.servers[number % self.servers.len()]),
            work: Arc::clone(&work),
            pace: self.pace,
            sent: Arc::clone(&sent),
            start,
            from,
            until,
        });
        let parts = deal_out(clients, thread::available_parallelism()?.get())
            .into_iter()
            .map(|clients| ask_on_a_thread(clients, self.duration))
            .collect::<anyhow::Result<Vec<_>>>()?;
        tokio::time::sleep_until(from.into()).await;
        begun();
        tokio::time::sleep_until(until.into()).await;
        ended();
        let mut tally = Tally::new(self.duration);
        for part in parts {
            tally.add(&part.await.context("clients have stopped")??);
        }
        if let Pace::Open(rate) = self.pace {
            let unsent = due_before(rate, self.warm_up + self.duration).saturating_sub(sent.load(Relaxed));
            tally.unsent(unsent);
        }
        Ok(tally)
    }
}

/// Deals clients out to so many threads, or as many as there are clients. In blocks: neighbours may ask different
/// servers.
fn deal_out<T>(mut clients: impl ExactSizeIterator<Item = T>, threads: usize) -> Vec<Vec<T>> {
    let threads = threads.min(clients.len());
    (1..=threads)
        .rev()
        .map(|left| {
            let share = clients.len().div_ceil(left);
            clients.by_ref().take(share).collect()
        })
        .collect()
}

/// Has clients ask on a thread of their own, which ends with them.
fn ask_on_a_thread(
    clients: Vec<Asking>,
    elapsed: Duration,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<Tally>>> {
    let (done, tally) = oneshot::channel();
    let work = move || {
        // Nobody waits for it any more if this fails.
        let _ = done.send(ask(clients, elapsed));
    };
    thread::Builder::new().name("clients".to_owned()).spawn(work)?;
    Ok(tally)
}

/// Has clients ask, all on this thread.
fn ask(clients: Vec<Asking>, elapsed: Duration) -> anyhow::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tally = Rc::new(RefCell::new(Tally::new(elapsed)));
    let asking = async {
        let mut tasks = JoinSet::new();
        for client in clients {
            tasks.spawn_local(client.run(Rc::clone(&tally)));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        anyhow::Ok(())
    };
    runtime.block_on(LocalSet::new().run_until(asking))?;
    Ok(tally.replace(Tally::new(elapsed)))
}

/// How many requests of an open load are due in its first `time`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate and a time are positive, and bounded"
)]
fn due_before(rate: f64, time: Duration) -> u64 {
    (rate * time.as_secs_f64()).ceil() as u64
}

/// One client of a load.
struct Asking {
    number: usize,
    client: Client,
    work: Arc<dyn Work>,
    pace: Pace,
    /// Requests of all clients so far: the next one's number says when it is due.
    sent: Arc<AtomicU64>,
    start: Instant,
    from: Instant,
    until: Instant,
}

impl Asking {
    async fn run(mut self, tally: Rc<RefCell<Tally>>) {
        let mut dice = SmallRng::from_os_rng();
        while let Some(due) = self.next_due().await {
            let request = self.work.request(self.number, &mut dice);
            let answer = self.client.send(request).await;
            let now = Instant::now();
            let counts = match self.pace {
                // Where it ends. One that fails has failed, however late that shows.
                Pace::Closed => now >= self.from && (now < self.until || answer.is_err()),
                // Where it was due, however late the answer.
                Pace::Open(_) => due >= self.from,
            };
            if counts {
                let took = now.saturating_duration_since(due);
                tally.borrow_mut().note(&*self.work, answer, took);
            }
        }
    }

    /// Waits until the next request is due; `None` when the load is over.
    async fn next_due(&self) -> Option<Instant> {
        // Before a number is drawn: one that was drawn is sent.
        if Instant::now() >= self.until {
            return None;
        }
        let due = match self.pace {
            Pace::Closed => Instant::now(),
            Pace::Open(rate) => {
                let number = self.sent.fetch_add(1, Relaxed);
                self.start + Duration::from_secs_f64(count(number) / rate)
            }
        };
        if due >= self.until {
            return None;
        }
        if self.pace != Pace::Closed {
            tokio::time::sleep_until(due.into()).await;
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::net::TcpListener;

    /// Asks for anything.
    struct Anything;

    impl Work for Anything {
        fn request(&self, _: usize, _: &mut SmallRng) -> Request<Full<Bytes>> {
            Request::get("/")
                .header("host", "localhost")
                .body(Full::default())
                .expect("its parts are valid")
        }

        fn is_good(&self, status: StatusCode) -> bool {
            status == StatusCode::OK
        }
    }

    #[tokio::test]
    async fn an_open_load_is_charged_for_all_that_was_due() {
        // A server that takes connections and closes them: nothing is ever answered.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let server = listener.local_addr().expect("an address");
        let closing = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let load = Load {
            servers: vec![server],
            clients: 2,
            pace: Pace::Open(100.0),
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(200),
        };
        let tally = load.run(Arc::new(Anything), || {}, || {}).await.expect("runs");
        assert_eq!((tally.latencies.len(), tally.failed), (0, 20));
        closing.abort();
    }

    #[test]
    fn clients_are_dealt_out_evenly_and_none_is_left() {
        assert_eq!(deal_out(0..5, 2), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(deal_out(0..5, 4), [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(deal_out(0..1, 4), [[0]]);
        assert_eq!(deal_out(0..0, 4), Vec::<Vec<i32>>::new());
    }

    #[test]
    fn what_could_not_be_sent_has_failed() {
        let mut tally = Tally::new(Duration::from_secs(1));
        tally.unsent(0);
        assert!(tally.failure.is_none());
        tally.unsent(3);
        assert_eq!(tally.failed, 3);
        assert!(tally.failure.is_some());
    }

    #[test]
    fn an_open_load_is_due_at_its_rate() {
        assert_eq!(due_before(40.0, Duration::from_secs(2)), 80);
        assert_eq!(due_before(3.0, Duration::from_millis(500)), 2);
    }
}
