//! `holdfast drain`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use holdfast_store::{NodeRow, NodeState, Store, StoreOptions};
use humantime_serde::re::humantime;
use tokio::time::{Instant, sleep};

use super::database::DatabaseArgs;
use crate::{runtime, telemetry, terminal};

/// How often the map is read while shards move.
const POLL: Duration = Duration::from_millis(100);

/// Have a node hand its shards to the others.
///
/// The node stays up and passes requests on, but is not ready any more and
/// owns nothing until its process is started anew. It hears of this from the
/// database, so it is enough that both reach that.
#[derive(Debug, Args)]
pub struct Drain {
    /// The node's name
    name: String,
    /// How long to wait until it owns nothing; 0s: not at all
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Drain {
    /// Fails if the node still owns shards after the wait.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let (_, url) = self.database.settings()?;
        runtime::on_this_thread(async {
            let options = StoreOptions {
                max_connections: 1,
                application_name: "holdfast-drain".to_owned(),
                ..StoreOptions::default()
            };
            let store = Store::connect(url.reveal(), options)
                .await
                .context("cannot connect to the database")?;
            let drained = self.drain(&store).await;
            store.close().await;
            drained
        })
    }

    async fn drain(&self, store: &Store) -> anyhow::Result<ExitCode> {
        let name = &self.name;
        if !store.node_drain_named(name).await.context("cannot drain")? {
            bail!("no node `{name}` has joined the cluster");
        }
        let deadline = Instant::now() + self.wait;
        loop {
            let map = store.map_load().await.context("cannot read the cluster map")?;
            let is_drained = |node: &&NodeRow| node.name == *name && node.state == NodeState::Draining;
            let Some(node) = map.nodes.iter().find(is_drained) else {
                bail!(
                    "{name} has left or was started anew meanwhile; if it is there again, it is not drained"
                );
            };
            let owner = Some(node.node_id);
            let owned = map.shards.iter().filter(|shard| shard.owner == owner).count();
            if owned == 0 {
                terminal::say(format_args!("{name} owns nothing any more"));
                return Ok(ExitCode::SUCCESS);
            }
            if self.wait.is_zero() {
                terminal::say(format_args!("{name} drains; it owns {owned} shards"));
                return Ok(ExitCode::SUCCESS);
            }
            if Instant::now() >= deadline {
                let wait = humantime::format_duration(self.wait);
                terminal::say(format_args!(
                    "{name} drains, but after {wait} it still owns {owned} shards: is there another node to take them?"
                ));
                return Ok(ExitCode::FAILURE);
            }
            sleep(POLL).await;
        }
    }
}
