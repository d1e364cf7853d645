//! What a node's metrics say, read as Prometheus would.

use std::collections::{BTreeMap, BTreeSet};

/// One node's metrics at one moment.
pub(crate) struct Scrape {
    /// The text as it came.
    pub(crate) text: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    /// Reads the metrics of the node whose operators' listener is at `ops`.
    pub(crate) async fn of(http: &reqwest::Client, ops: &str) -> Self {
        let answer = http
            .get(format!("{ops}/metrics"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.expect("a text");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let samples = lines.map(parse).collect();
        Self { text, samples }
    }

    /// Adds up a metric's values over all series that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(label, value)| of.get(*label).is_some_and(|found| found == value))
        };
        self.samples
            .iter()
            .filter(|(found, of, _)| found == name && has(of))
            .map(|(_, _, value)| value)
            .sum()
    }

    /// Lists the values of a label over all series of a metric.
    pub(crate) fn values_of(&self, name: &str, label: &str) -> BTreeSet<String> {
        self.samples
            .iter()
            .filter(|(found, ..)| found == name)
            .filter_map(|(_, labels, _)| labels.get(label).cloned())
            .collect()
    }

    /// Lists the families.
    pub(crate) fn families(&self) -> BTreeSet<String> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }
}

/// Reads `name{label="value",...} 7`. No label of ours has a comma or a quote in its value.
fn parse(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let labels = labels.trim_end_matches('}').split(',').map(|pair| {
        let (label, value) = pair.split_once('=').expect("a label");
        (label.to_owned(), value.trim_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect(), value)
}
