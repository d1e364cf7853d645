//! The database that the nodes use: the operator's, or one of our own that is
//! kept running.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::backoff::Backoff;
use crate::postgres::{Postgres, PostgresError};
use crate::terminal;

/// The nodes' database.
#[derive(Debug)]
pub(crate) enum Database {
    /// Somebody else's, who keeps it running.
    External { url: String },
    /// Ours.
    Embedded(Box<Embedded>),
}

/// A server that is started again when it dies.
#[derive(Debug)]
pub(crate) struct Embedded {
    url: String,
    instance: Instance,
    state: State,
    started: Instant,
    backoff: Backoff,
}

/// Where a server of ours is found, through all its restarts.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Its version and where its programs are.
    pub(crate) installation: String,
    /// Where it takes connections.
    pub(crate) socket: PathBuf,
    /// Names its process in the first line.
    pub(crate) pid_file: PathBuf,
    /// Keeps it down.
    pub(crate) outage: Outage,
}

/// Keeps a server of ours down that has ended: for trying out what its absence
/// does. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outage {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Outage {
    /// Lets the server's next start wait for `duration` at least. A server
    /// that runs is not stopped by it.
    pub(crate) fn hold(&self, duration: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + duration);
    }

    /// Takes the time before which the server must not start, if there is one.
    fn take(&self) -> Option<Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug)]
enum State {
    Running(Postgres),
    Waiting {
        postgres: Postgres,
        until: Instant,
    },
    /// On a thread of its own: replaying a log can take long, and an interrupt
    /// must not have to wait for it.
    Starting(JoinHandle<Restarted>),
    Lost,
}

type Restarted = (Postgres, Result<(), PostgresError>);

impl Database {
    pub(super) fn embedded(postgres: Postgres) -> Self {
        Self::Embedded(Box::new(Embedded {
            url: postgres.url().to_owned(),
            instance: Instance {
                installation: postgres.installation().to_string(),
                socket: postgres.socket(),
                pid_file: postgres.pid_file(),
                outage: Outage::default(),
            },
            state: State::Running(postgres),
            started: Instant::now(),
            backoff: Backoff::default(),
        }))
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::External { url } => url,
            Self::Embedded(embedded) => &embedded.url,
        }
    }

    /// The server, if it is ours.
    pub(crate) fn instance(&self) -> Option<&Instance> {
        match self {
            Self::External { .. } => None,
            Self::Embedded(embedded) => Some(&embedded.instance),
        }
    }

    /// Looks whether the server has ended; called when some child has.
    pub(super) fn reap(&mut self) {
        if let Self::Embedded(embedded) = self {
            embedded.reap();
        }
    }

    /// Does what is due; waits for ever while the server runs.
    pub(super) async fn tend(&mut self) {
        match self {
            Self::External { .. } => std::future::pending().await,
            Self::Embedded(embedded) => embedded.tend().await,
        }
    }

    /// Stops a server of ours within `patience` and a little.
    pub(super) async fn stop(self, patience: Duration) -> Result<(), PostgresError> {
        let Self::Embedded(embedded) = self else {
            return Ok(());
        };
        let postgres = match embedded.state {
            State::Running(postgres) | State::Waiting { postgres, .. } => postgres,
            // Cut short, it ends with this process.
            State::Starting(starting) => match tokio::time::timeout(patience, starting).await {
                Ok(Ok((postgres, _))) => postgres,
                _ => return Ok(()),
            },
            State::Lost => return Ok(()),
        };
        match tokio::task::spawn_blocking(move || postgres.stop(patience)).await {
            Ok(stopped) => stopped,
            // The thread panicked; dropping the server has stopped it.
            Err(_) => Ok(()),
        }
    }
}

impl Embedded {
    fn reap(&mut self) {
        let State::Running(postgres) = &mut self.state else {
            return;
        };
        let ended = match postgres.exited() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        terminal::remark(format_args!("postgres ended ({ended}); starting it again"));
        if let State::Running(postgres) = std::mem::replace(&mut self.state, State::Lost) {
            self.wait(postgres);
        }
    }

    /// Plans the next start.
    fn wait(&mut self, postgres: Postgres) {
        let wait = self.backoff.after(self.started.elapsed(), rand::random());
        let due = Instant::now() + wait;
        self.state = State::Waiting {
            postgres,
            until: self.instance.outage.take().map_or(due, |held| held.max(due)),
        };
    }

    /// Cancelling this between its awaits loses nothing.
    async fn tend(&mut self) {
        match &mut self.state {
            State::Running(_) | State::Lost => std::future::pending().await,
            State::Waiting { until, .. } => {
                sleep_until((*until).into()).await;
                if let State::Waiting { mut postgres, .. } = std::mem::replace(&mut self.state, State::Lost) {
                    self.started = Instant::now();
                    self.state = State::Starting(tokio::task::spawn_blocking(move || {
                        let restarted = postgres.restart();
                        (postgres, restarted)
                    }));
                }
            }
            State::Starting(starting) => match starting.await {
                Ok((postgres, Ok(()))) => {
                    terminal::remark(format_args!(
                        "postgres is back after {:.1} s",
                        self.started.elapsed().as_secs_f64()
                    ));
                    self.started = Instant::now();
                    self.state = State::Running(postgres);
                }
                Ok((postgres, Err(error))) => {
                    terminal::remark(format_args!(
                        "postgres did not start: {:#}",
                        anyhow::Error::from(error)
                    ));
                    self.wait(postgres);
                }
                Err(error) => {
                    terminal::remark(format_args!("postgres is lost: {error}"));
                    self.state = State::Lost;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Outage;

    #[test]
    fn an_outage_delays_one_start() {
        let outage = Outage::default();
        assert_eq!(outage.take(), None);
        outage.clone().hold(Duration::from_mins(1));
        assert!(outage.take().is_some_and(|until| until > Instant::now()));
        assert_eq!(outage.take(), None);
    }
}
