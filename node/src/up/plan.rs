//! Which nodes to run, and on which addresses.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

use anyhow::bail;
use rand::Rng;

use crate::config::{Config, NodeSettings, Role, Secret};

/// The base port if none is given.
pub const DEFAULT_BASE_PORT: u16 = 8080;
/// The most nodes that fit between the API's ports and the next thousand, and
/// more than one machine can use.
const MAX_NODES: usize = 64;
/// Where a cluster that nobody looks for has its ports: below those that the
/// kernel gives away.
const FREE_PORTS: Range<u16> = 11_000..30_000;
const FREE_PORT_TRIES: u32 = 100;

/// One node to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub roles: Vec<Role>,
    /// Where its API listens, if it is an edge.
    pub api: Option<SocketAddr>,
    /// Where its health and metrics listen.
    pub ops: SocketAddr,
    /// Where other nodes connect to it.
    pub link: SocketAddr,
    /// Where they reach that, if elsewhere.
    pub advertise: Option<String>,
    /// Where it reaches the database, if elsewhere than the others.
    pub database_url: Option<Secret>,
}

/// Why the nodes cannot be run as asked.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No cluster has that many.
    #[error("--nodes {asked}: must be between 1 and {MAX_NODES}")]
    Count {
        /// What was asked for.
        asked: usize,
    },
    /// The ports end at 65535.
    #[error("--base-port {base}: {nodes} nodes need ports up to {base} + 2000 + {nodes} - 1")]
    BasePort {
        /// What was asked for.
        base: u16,
        /// For this many nodes.
        nodes: usize,
    },
    /// Too few nodes to do everything.
    #[error("none of the nodes {nodes} has the role `{role}`")]
    MissingRole {
        /// The nodes' names.
        nodes: String,
        /// What nobody would do.
        role: Role,
    },
    /// Two listeners on one address.
    #[error("{address} is both {one} and {other}; give one of them another address")]
    Clash {
        /// The address.
        address: SocketAddr,
        /// What one listener is for.
        one: String,
        /// What the other listener is for.
        other: String,
    },
    /// Something else listens there.
    #[error(
        "port {} is in use, and {purpose} was to listen there ({address}); stop what holds it or choose another --base-port",
        address.port()
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
        /// What it was to be for.
        purpose: String,
    },
    /// The address is not this machine's, or the port needs privileges.
    #[error("{purpose} cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What it was to be for.
        purpose: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Plans the first `count` nodes of `config`, or all of them; nodes beyond
/// those in the file have every role. `base_port`, if given, comes before the
/// addresses in the file.
pub fn plan(
    config: &Config,
    count: Option<usize>,
    base_port: Option<u16>,
) -> Result<Vec<NodePlan>, PlanError> {
    let count = count.unwrap_or(config.nodes.len());
    if count == 0 || count > MAX_NODES {
        return Err(PlanError::Count { asked: count });
    }
    let base = base_port.unwrap_or(DEFAULT_BASE_PORT);
    let ports = |offset: u16, index: usize| -> Result<u16, PlanError> {
        u16::try_from(index)
            .ok()
            .and_then(|index| base.checked_add(offset)?.checked_add(index))
            .ok_or(PlanError::BasePort { base, nodes: count })
    };
    let host = config.http.host;
    let nodes: Vec<NodePlan> = settings(config, count)
        .into_iter()
        .enumerate()
        .map(|(index, node)| {
            let address = |written: Option<SocketAddr>, offset: u16| {
                let derived = SocketAddr::new(host, ports(offset, index)?);
                Ok(match base_port {
                    Some(_) => derived,
                    None => written.unwrap_or(derived),
                })
            };
            Ok(NodePlan {
                api: if node.roles.contains(&Role::Edge) {
                    Some(address(node.api, 0)?)
                } else {
                    None
                },
                ops: address(node.ops, 1000)?,
                link: address(node.link, 2000)?,
                advertise: node.advertise,
                database_url: None,
                name: node.name,
                roles: node.roles,
            })
        })
        .collect::<Result<_, PlanError>>()?;
    check_roles(&nodes)?;
    check_clashes(&nodes)?;
    Ok(nodes)
}

/// Tries every address, so that a port in use is told before anything starts.
pub(crate) fn check_ports(nodes: &[NodePlan]) -> Result<(), PlanError> {
    for (address, purpose) in listeners(nodes) {
        // Dropped at once: nobody can connect in between, so the port is free
        // again without delay.
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                return Err(PlanError::PortInUse { address, purpose });
            }
            Err(source) => {
                return Err(PlanError::Bind {
                    address,
                    purpose,
                    source,
                });
            }
        }
    }
    Ok(())
}

/// Finds a port that is free together with all those that a cluster derives
/// from it.
pub(crate) fn free_base_port(config: &Config, nodes: Option<usize>) -> anyhow::Result<u16> {
    let mut rng = rand::rng();
    for _ in 0..FREE_PORT_TRIES {
        let base = rng.random_range(FREE_PORTS);
        let plans = plan(config, nodes, Some(base))?;
        if check_ports(&plans).is_ok() {
            return Ok(base);
        }
    }
    bail!("no ports are free")
}

fn settings(config: &Config, count: usize) -> Vec<NodeSettings> {
    let mut nodes: Vec<NodeSettings> = config.nodes.iter().take(count).cloned().collect();
    let mut number = nodes.len();
    while nodes.len() < count {
        number += 1;
        let name = format!("n{number}");
        if nodes.iter().all(|node| node.name != name) {
            nodes.push(NodeSettings::named(name));
        }
    }
    nodes
}

fn check_roles(nodes: &[NodePlan]) -> Result<(), PlanError> {
    let missing = Role::ALL
        .into_iter()
        .find(|role| !nodes.iter().any(|node| node.roles.contains(role)));
    match missing {
        None => Ok(()),
        Some(role) => {
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            Err(PlanError::MissingRole {
                nodes: names.join(", "),
                role,
            })
        }
    }
}

fn check_clashes(nodes: &[NodePlan]) -> Result<(), PlanError> {
    let mut taken: HashMap<SocketAddr, String> = HashMap::new();
    for (address, purpose) in listeners(nodes) {
        if let Some(one) = taken.insert(address, purpose.clone()) {
            return Err(PlanError::Clash {
                address,
                one,
                other: purpose,
            });
        }
    }
    Ok(())
}

/// Every listener, and what it is for.
fn listeners(nodes: &[NodePlan]) -> impl Iterator<Item = (SocketAddr, String)> {
    nodes.iter().flat_map(|node| {
        let listener = |address, what| (address, format!("the {what} of {}", node.name));
        let api = node.api.map(|api| listener(api, "API"));
        api.into_iter()
            .chain([listener(node.ops, "ops listener"), listener(node.link, "link")])
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::{PlanError, check_ports, plan};
    use crate::config::{Config, Role, Variables};

    fn config(text: &str) -> Config {
        Config::from_parts(Path::new("cluster.toml"), text, &Variables::default()).unwrap()
    }

    #[test]
    fn addresses_count_up_from_the_base_port() {
        let nodes = plan(&Config::default(), None, Some(7000)).unwrap();
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[1].api, "127.0.0.1:7001".parse().ok());
        assert_eq!(nodes[1].ops, "127.0.0.1:8001".parse().unwrap());
        assert_eq!(nodes[1].link, "127.0.0.1:9001".parse().unwrap());
    }

    #[test]
    fn nodes_beyond_the_file_have_every_role() {
        let nodes = plan(&config("[[nodes]]\nname = \"n2\""), Some(3), None).unwrap();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["n2", "n3", "n4"]);
        assert_eq!(nodes[2].roles, Role::ALL);
    }

    #[test]
    fn an_address_in_the_file_stands_unless_a_base_port_is_given() {
        let config = config("[[nodes]]\nname = \"a\"\napi = \"127.0.0.2:80\"");
        let api = |base| plan(&config, None, base).unwrap()[0].api.unwrap().to_string();
        assert_eq!(api(None), "127.0.0.2:80");
        assert_eq!(api(Some(7000)), "127.0.0.1:7000");
    }

    #[test]
    fn a_node_that_is_no_edge_has_no_api() {
        let config = config(
            "[[nodes]]\nname = \"a\"\nroles = [\"edge\"]\n\
             [[nodes]]\nname = \"b\"\nroles = [\"sessions\", \"products\", \"orders\"]",
        );
        let nodes = plan(&config, None, None).unwrap();
        assert!(nodes[0].api.is_some());
        assert!(nodes[1].api.is_none());
    }

    #[test]
    fn too_few_nodes_to_do_everything_are_refused() {
        let config = config(
            "[[nodes]]\nname = \"a\"\nroles = [\"edge\"]\n\
             [[nodes]]\nname = \"b\"\nroles = [\"sessions\", \"products\", \"orders\"]",
        );
        assert_eq!(plan(&config, None, None).unwrap().len(), 2);
        let refused = plan(&config, Some(1), None).unwrap_err();
        assert!(matches!(
            refused,
            PlanError::MissingRole {
                role: Role::Sessions,
                ..
            }
        ));
    }

    #[test]
    fn ports_past_the_last_one_are_refused() {
        let refused = plan(&Config::default(), None, Some(63_534)).unwrap_err();
        assert!(matches!(refused, PlanError::BasePort { .. }), "{refused}");
        plan(&Config::default(), None, Some(63_533)).unwrap();
    }

    #[test]
    fn an_address_for_two_things_is_refused() {
        let config = config("[[nodes]]\nname = \"a\"\napi = \"127.0.0.1:9080\"");
        let refused = plan(&config, None, None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "127.0.0.1:9080 is both the API of a and the ops listener of a; \
             give one of them another address"
        );
    }

    #[test]
    fn a_port_in_use_is_named() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let mut nodes = plan(&Config::default(), Some(1), None).unwrap();
        nodes[0].ops.set_port(port);
        let refused = check_ports(&nodes).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("port {port} is in use")),
            "{refused}"
        );
        assert!(refused.contains("the ops listener of n1"), "{refused}");
    }
}
