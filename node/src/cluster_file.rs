//! `run/cluster.json`: how tools find the cluster that `holdfast up` runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_file;

/// A running cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFile {
    /// The database; it may hold a password, so the file is its owner's alone.
    pub database_url: String,
    /// The nodes, in order.
    pub nodes: Vec<ClusterNode>,
}

/// One node of a running cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterNode {
    /// The node's name.
    pub name: String,
    /// Its latest process.
    pub pid: u32,
    /// Base URL of its API, if it is an edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Base URL of its health and metrics.
    pub ops: String,
}

/// Why there is no cluster to talk to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFileError {
    /// There is no such file, most likely because no cluster runs.
    #[error("is `holdfast up` running? cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not one that `holdfast up` wrote.
    #[error("{} is not a cluster file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl ClusterFile {
    /// Lists the base URLs of the nodes' APIs.
    pub fn apis(&self) -> Vec<String> {
        self.nodes.iter().filter_map(|node| node.api.clone()).collect()
    }

    /// Tells where the file is in a data directory.
    pub fn path_in(data_dir: &Path) -> PathBuf {
        data_dir.join("run").join("cluster.json")
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ClusterFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| ClusterFileError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| ClusterFileError::Malformed {
            path: path.to_path_buf(),
            source,
        })
    }

    /// Replaces the file at `path`; readers see the old one or this one.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        private_file::replace(path, &text)
    }
}

/// The URL by which this machine reaches a listener on `address`.
pub fn base_url(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        address.ip()
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::{ClusterFile, ClusterFileError, ClusterNode, base_url};

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cluster.json");
        let written = ClusterFile {
            database_url: "postgres://localhost/shop".to_owned(),
            nodes: vec![ClusterNode {
                name: "n1".to_owned(),
                pid: 7,
                api: Some("http://127.0.0.1:8080".to_owned()),
                ops: "http://127.0.0.1:9080".to_owned(),
            }],
        };
        written.write(&path).unwrap();
        assert!(ClusterFile::read(&path).unwrap() == written);
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        assert_eq!(base_url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
    }

    #[test]
    fn a_missing_file_asks_whether_a_cluster_runs() {
        let directory = tempfile::tempdir().unwrap();
        let refused = ClusterFile::read(&directory.path().join("cluster.json"));
        let Err(refused) = refused else {
            panic!("there is no file");
        };
        assert!(matches!(refused, ClusterFileError::Unreadable { .. }));
        assert!(refused.to_string().contains("is `holdfast up` running?"));
    }
}
