//! Faults of Postgres.

use std::time::{Duration, Instant};

use anyhow::Context;
use holdfast_store::hardship::{self, Crowd};
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use super::site::{Site, send};

/// More connections than any server here gives.
const CONNECTIONS_MAX: usize = 1_000;
/// How often connections are taken that have become free.
const CROWD_EVERY: Duration = Duration::from_millis(50);
/// How long the server may take to be back.
const BACK_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// Ends the server with a signal and waits until its supervisor has started it
/// again, at the earliest after `away`.
pub(super) async fn restart(site: &Site, signal: Signal, away: Duration) -> anyhow::Result<()> {
    // Another fault may be at it.
    let running = async {
        loop {
            if let Ok(pid) = pid(site) {
                return pid;
            }
            sleep(POLL).await;
        }
    };
    let pid = timeout(BACK_WITHIN, running)
        .await
        .context("Postgres does not run")?;
    if !away.is_zero() {
        site.database.outage.hold(away);
    }
    send(pid, signal).context("cannot signal Postgres")?;
    let back = async {
        loop {
            if let Ok(now) = self::pid(site)
                && now != pid
                && tokio::net::UnixStream::connect(&site.database.socket)
                    .await
                    .is_ok()
            {
                return;
            }
            sleep(POLL).await;
        }
    };
    timeout(BACK_WITHIN + away, back)
        .await
        .context("Postgres is not back")
}

/// Holds every connection that the server gives, those that a node had among
/// them.
pub(super) async fn crowd(site: &Site, node: usize, lasts: Duration) -> anyhow::Result<()> {
    let mut crowd = Crowd::default();
    let began = Instant::now();
    while began.elapsed() < lasts {
        // While another fault keeps the server away, there is nothing to take.
        if crowd.take(&site.database_url, CONNECTIONS_MAX).await.is_ok() {
            for incarnation in site.incarnations(node).await {
                let _ = crowd.evict(incarnation).await;
                let _ = crowd.take(&site.database_url, CONNECTIONS_MAX).await;
            }
        }
        sleep(CROWD_EVERY).await;
    }
    Ok(())
}

/// Makes flushes slow.
pub(super) async fn slow_disk(site: &Site, lasts: Duration) -> anyhow::Result<()> {
    let slowed = async {
        // Another fault may hold every connection, or keep the server away.
        while hardship::slow_commits(&site.database_url).await.is_err() {
            sleep(POLL).await;
        }
        std::future::pending::<()>().await;
    };
    let _ = timeout(lasts, slowed).await;
    let healed = async {
        while hardship::normal_commits(&site.database_url).await.is_err() {
            sleep(POLL).await;
        }
    };
    timeout(BACK_WITHIN, healed)
        .await
        .context("commits cannot be made fast again")
}

/// Names the server's process, if it runs.
fn pid(site: &Site) -> anyhow::Result<u32> {
    let text = std::fs::read_to_string(&site.database.pid_file).context("Postgres does not run")?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    pid.context("Postgres does not name its process")
}
