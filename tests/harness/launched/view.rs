//! What a node says of its cluster.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_domain::id::shard_of;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::Person;

/// The cluster's map, as one node sees it.
pub(crate) struct View(Value);

impl View {
    /// Asks the node whose operators' listener `asker`, an admin, talks to.
    pub(crate) async fn of(asker: &Person) -> Self {
        Self(asker.get("/v1/cluster").await.expect(200))
    }

    /// Returns the incarnation that owns a product.
    pub(crate) fn owner_of_product(&self, product: &str) -> Option<&str> {
        let shard = shard_of(product.parse::<Uuid>().expect("an id")).0;
        self.shards()
            .find(|row| row["service"] == "products" && row["shard"] == shard)?["owner"]
            .as_str()
    }

    /// Returns the name of a living incarnation.
    pub(crate) fn name_of(&self, incarnation: &str) -> Option<&str> {
        self.nodes().find(|node| node["id"] == incarnation)?["name"].as_str()
    }

    /// Returns the active incarnation of this name.
    pub(crate) fn incarnation_of(&self, name: &str) -> Option<&str> {
        self.nodes()
            .find(|node| node["name"] == name && node["state"] == "active")?["id"]
            .as_str()
    }

    /// Tells whether an incarnation owns anything.
    pub(crate) fn is_owner(&self, incarnation: &str) -> bool {
        self.shards().any(|row| row["owner"] == incarnation)
    }

    /// Tells whether `count` living nodes share the shards, and the services of each shard are on one
    /// node: they are while no shard is on its way, and seldom else.
    pub(crate) fn looks_settled(&self, count: usize) -> bool {
        let mut owners: BTreeMap<u64, BTreeSet<Option<&str>>> = BTreeMap::new();
        for row in self.shards() {
            let shard = row["shard"].as_u64().expect("a shard's number");
            owners.entry(shard).or_default().insert(row["owner"].as_str());
        }
        let together = owners.values().all(|of_shard| of_shard.len() == 1);
        let all: BTreeSet<_> = owners.into_values().flatten().collect();
        let all_live = all
            .iter()
            .all(|owner| owner.is_some_and(|owner| self.name_of(owner).is_some()));
        together && all_live && all.len() == count
    }

    fn nodes(&self) -> impl Iterator<Item = &Value> {
        self.0["nodes"].as_array().into_iter().flatten()
    }

    fn shards(&self) -> impl Iterator<Item = &Value> {
        self.0["shards"].as_array().into_iter().flatten()
    }
}
