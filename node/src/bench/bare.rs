//! The bounds: what is left when there is nothing but the library that does
//! the work. A hyper server that answers every request with the bytes of one
//! product, and Argon2id as fast as the cores hash.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use holdfast_actors::HashingOptions;
use http_body_util::Full;
use hyper::Response;

use super::contender::{Cluster, load};
use super::load::Tally;
use super::meter::{Processes, Spent};
use super::report::{Cell, Measurement};
use super::server::Server;
use super::stage::Stage;
use super::work::{Demand, Reads};
use super::{BenchOptions, WorkKind};
use crate::config::Config;

/// A hyper server, and the hashing of passwords.
pub(super) struct Bare {
    server: Server,
    /// Whose work the server answers: requests are drawn as for a cluster.
    stage: Stage,
    hashing: HashingOptions,
}

impl Bare {
    /// Serves the bytes that `cluster` answers for a product.
    pub(super) async fn new(cluster: &Cluster, config: &Config) -> anyhow::Result<Self> {
        let (headers, body) = cluster.read_one().await.context("cannot read a product")?;
        let answer = move |_| {
            let mut response = Response::new(Full::new(body.clone()));
            *response.headers_mut() = headers.clone();
            std::future::ready(response)
        };
        Ok(Self {
            server: Server::start(answer).await?,
            stage: cluster.stage().clone(),
            hashing: crate::node::hashing_options(config),
        })
    }

    pub(super) const fn name() -> &'static str {
        "bare"
    }

    pub(super) fn suits(cell: &Cell) -> bool {
        match cell.work {
            WorkKind::Orders => false,
            WorkKind::Reads => true,
            // Hashing has no rate but its own.
            WorkKind::Logins => cell.offered.is_none(),
        }
    }

    /// Measures one cell once.
    pub(super) async fn measure(
        &self,
        options: &BenchOptions,
        cell: &Cell,
        round: usize,
    ) -> anyhow::Result<Measurement> {
        let processes = Processes {
            generators: vec![std::process::id()],
            ..Processes::default()
        };
        let (mut before, mut after) = (Spent::default(), Spent::default());
        let tally = if cell.work == WorkKind::Logins {
            before = processes.spent();
            let (hashing, duration) = (self.hashing, options.duration);
            let tally = tokio::task::spawn_blocking(move || hash_away(hashing, duration)).await??;
            after = processes.spent();
            tally
        } else {
            let work = Reads::new(Demand::new(&self.stage.products, cell.spread)?);
            let load = load(options, cell, vec![self.server.address]);
            load.run(
                std::sync::Arc::new(work),
                || before = processes.spent(),
                || after = processes.spent(),
            )
            .await?
        };
        Ok(Measurement::new(
            Self::name(),
            *cell,
            round,
            &tally,
            &after.since(&before),
            0,
            0.0,
        ))
    }
}

/// Hashes on as many threads as a node does, for so long.
fn hash_away(options: HashingOptions, duration: Duration) -> anyhow::Result<Tally> {
    let end = Instant::now() + duration;
    let hashing = || -> anyhow::Result<Tally> {
        let mut tally = Tally::new(duration);
        while Instant::now() < end {
            let began = Instant::now();
            holdfast_actors::hash_password("correct horse battery staple", options)?;
            tally.record(began.elapsed());
        }
        Ok(tally)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads.max(1))
            .map(|_| scope.spawn(hashing))
            .collect();
        let mut all = Tally::new(duration);
        for thread in threads {
            let part = thread.join().map_err(|_| anyhow::anyhow!("hashing panicked"))??;
            all.add(&part);
        }
        Ok(all)
    })
}
