//! `holdfast node`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::config::{Config, Role};
use crate::up::{NodePlan, plan};
use crate::{node, runtime, telemetry};

/// What a node logs if nothing else is asked for. The actor library warns of
/// every session that ends; what matters of that, we report ourselves.
const LOGGED: &str = "info,ractor=error,ractor_cluster=error";

/// Run one node of a cluster.
///
/// `holdfast up` runs this for each node; on a cluster of several machines,
/// run it on each. What is not given here is what the settings say of the node
/// of that name.
#[derive(Debug, Args)]
pub struct Node {
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which node of the cluster this is
    #[arg(long, env = "HOLDFAST_NODE_NAME")]
    name: String,
    /// What it runs
    #[arg(long, env = "HOLDFAST_NODE_ROLES", value_enum, value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// Where its API listens
    #[arg(long, env = "HOLDFAST_NODE_API", value_name = "ADDRESS")]
    api: Option<SocketAddr>,
    /// Where its health and metrics listen
    #[arg(long, env = "HOLDFAST_NODE_OPS", value_name = "ADDRESS")]
    ops: Option<SocketAddr>,
    /// Where other nodes connect
    #[arg(long, env = "HOLDFAST_NODE_LINK", value_name = "ADDRESS")]
    link: Option<SocketAddr>,
    /// Where other nodes reach that, if elsewhere
    #[arg(long, env = "HOLDFAST_NODE_ADVERTISE", value_name = "HOST:PORT")]
    advertise: Option<String>,
}

impl Node {
    /// Runs the node until a signal asks to stop.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(self.config.as_deref())?;
        let plan = self.plan(&config)?;
        let _traces = telemetry::init_node(LOGGED, &config.telemetry, &plan.name)?;
        runtime::on_all_cores(node::run(&config, &plan))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Takes what is given here before what the settings say.
    fn plan(self, config: &Config) -> anyhow::Result<NodePlan> {
        let listed = match config.node(&self.name) {
            Some(_) => plan(config, None, None)?
                .into_iter()
                .find(|node| node.name == self.name),
            None => None,
        };
        let unlisted = || format!("the settings list no node `{}`: give its addresses", self.name);
        let (roles, api, ops, link, advertise) = match listed {
            Some(node) => (
                node.roles,
                node.api,
                Some(node.ops),
                Some(node.link),
                node.advertise,
            ),
            None => (Role::ALL.into(), None, None, None, None),
        };
        let roles = self.roles.unwrap_or(roles);
        let is_edge = roles.contains(&Role::Edge);
        let api = self.api.or(api).filter(|_| is_edge);
        if is_edge {
            api.with_context(unlisted)?;
        }
        Ok(NodePlan {
            api,
            ops: self.ops.or(ops).with_context(unlisted)?,
            link: self.link.or(link).with_context(unlisted)?,
            advertise: self.advertise.or(advertise),
            database_url: None,
            name: self.name.clone(),
            roles,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Node;
    use crate::config::{Config, Role};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        node: Node,
    }

    fn node(arguments: &[&str]) -> Node {
        Command::parse_from(["node"].iter().chain(arguments)).node
    }

    #[test]
    fn a_listed_node_needs_nothing_but_its_name() {
        let plan = node(&["--name", "n2"]).plan(&Config::default()).unwrap();
        assert_eq!(plan.api, "127.0.0.1:8081".parse().ok());
        assert_eq!(plan.roles, Role::ALL);
    }

    #[test]
    fn what_is_given_comes_before_the_settings() {
        let arguments = [
            "--name",
            "n2",
            "--roles",
            "orders,products",
            "--ops",
            "127.0.0.1:1",
        ];
        let plan = node(&arguments).plan(&Config::default()).unwrap();
        assert_eq!(plan.roles, [Role::Orders, Role::Products]);
        assert_eq!(plan.ops, "127.0.0.1:1".parse().unwrap());
        assert_eq!(plan.api, None);
    }

    #[test]
    fn a_node_that_is_not_listed_has_to_give_its_addresses() {
        let refused = node(&["--name", "n9"]).plan(&Config::default()).unwrap_err();
        assert!(refused.to_string().contains("list no node `n9`"), "{refused}");
        let arguments = [
            "--name",
            "n9",
            "--api",
            "127.0.0.1:1",
            "--ops",
            "127.0.0.1:2",
            "--link",
            "127.0.0.1:3",
        ];
        node(&arguments).plan(&Config::default()).unwrap();
    }
}
