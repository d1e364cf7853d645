//! How much of a machine so many orders a second take, from what
//! [`mod@bench`] has measured on one like it.
//!
//! The processor time of an order, `N` nodes:
//! - of the nodes `a + b (N - 1) / N`: so many of `N` orders are passed on;
//! - of PostgreSQL `c + d / k`: a batch has its price however many orders are in
//!   it. How many are in it follows from `k`, how many are in progress at a node,
//!   which is what arrives there while one order takes its time (Little; in the
//!   median, for that is what is measured).
//!
//! `a` to `d` are least squares over all that was measured of one kind.

use std::path::Path;

use anyhow::{Context, bail};

use crate::bench::{self, Cell, Measurement, Spread, Values, WorkKind, count};

/// Orders of one kind: what is fitted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How demand is spread over the products.
    pub spread: Spread,
    /// Lines of an order.
    pub lines: usize,
    /// Orders that the database held before.
    pub stored: u64,
}

/// One turn of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    nodes: f64,
    /// Orders in progress at a node.
    in_progress: f64,
    node_us: f64,
    postgres_us: f64,
    log_bytes: f64,
}

/// Reads what `holdfast bench --json` wrote of clusters that took all orders of
/// a kind that they were asked for.
///
/// # Errors
/// The file is no such result, or has nothing of the kind.
pub fn read(path: &Path, kind: Kind) -> anyhow::Result<Vec<Sample>> {
    let measured = bench::read(path)?;
    let of_kind = measured.iter().filter(|one| is_of(one, kind));
    let samples: Vec<Sample> = of_kind.filter_map(Sample::of).collect();
    if samples.is_empty() {
        bail!(
            "{} has no {} orders of {} lines beside {} stored ones",
            path.display(),
            kind.spread.name(),
            kind.lines,
            kind.stored
        );
    }
    Ok(samples)
}

/// What was refused has cost something, too, and is in no order's account.
fn is_of(measured: &Measurement, kind: Kind) -> bool {
    let Cell {
        work, spread, lines, ..
    } = measured.cell;
    let its = Kind {
        spread,
        lines,
        stored: measured.stored,
    };
    work == WorkKind::Orders && its == kind && measured.refused + measured.failed == 0
}

impl Sample {
    /// Returns nothing of what is no cluster, or did nothing.
    fn of(measured: &Measurement) -> Option<Self> {
        let nodes: u32 = measured.contender.strip_prefix("holdfast-")?.parse().ok()?;
        let nodes = f64::from(nodes);
        (measured.rate > 0.0 && nodes > 0.0).then(|| Self {
            nodes,
            in_progress: in_progress(measured.rate, measured.p50_ms, nodes),
            node_us: measured.server_us,
            postgres_us: measured.postgres_us,
            log_bytes: measured.log_bytes,
        })
    }

    /// The part of the orders that is passed on.
    fn passed_on(&self) -> f64 {
        passed_on(self.nodes)
    }
}

/// Little's law: what arrives at a node while one order takes its time.
fn in_progress(rate: f64, takes_ms: f64, nodes: f64) -> f64 {
    (rate * takes_ms / 1_000.0 / nodes).max(1.0)
}

fn passed_on(nodes: f64) -> f64 {
    (nodes - 1.0) / nodes
}

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Where it begins.
    pub base: f64,
    /// How fast it rises.
    pub slope: f64,
}

impl Line {
    fn at(self, x: f64) -> f64 {
        self.base + self.slope * x
    }

    /// Fits a line that neither falls nor begins below zero. `None` if all stands at one place.
    fn fitted(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let (mut count, mut sum) = (0.0, (0.0, 0.0));
        for (x, y) in points.clone() {
            count += 1.0;
            sum = (sum.0 + x, sum.1 + y);
        }
        let mean = (sum.0 / count, sum.1 / count);
        let (mut square, mut product) = (0.0, 0.0);
        for (x, y) in points {
            square += (x - mean.0).powi(2);
            product += (x - mean.0) * (y - mean.1);
        }
        if square < f64::EPSILON {
            return None;
        }
        let slope = (product / square).max(0.0);
        let base = mean.1 - slope * mean.0;
        Some(if base < 0.0 {
            Self {
                base: 0.0,
                slope: mean.1 / mean.0,
            }
        } else {
            Self { base, slope }
        })
    }
}

/// What an order costs.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The nodes' microseconds, over the part that is passed on.
    pub node: Line,
    /// PostgreSQL's microseconds, over one by how many are in progress at a node.
    pub postgres: Line,
    /// Bytes in PostgreSQL's log.
    pub log_bytes: f64,
}

/// What a rate needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Microseconds of an order, of the nodes.
    pub node_us: f64,
    /// Microseconds of an order, of PostgreSQL.
    pub postgres_us: f64,
    /// Cores that all nodes keep busy.
    pub node_cores: f64,
    /// Cores that PostgreSQL keeps busy.
    pub postgres_cores: f64,
    /// Bytes of PostgreSQL's log, a second.
    pub log_bytes: f64,
}

impl Model {
    /// Fits the model to what was measured.
    ///
    /// # Errors
    /// Clusters of one size, or asked by one number of clients, tell nothing of
    /// others.
    pub fn fitted(samples: &[Sample]) -> anyhow::Result<Self> {
        let node = samples.iter().map(|one| (one.passed_on(), one.node_us));
        let postgres = samples.iter().map(|one| (1.0 / one.in_progress, one.postgres_us));
        let log_bytes: f64 = samples.iter().map(|one| one.log_bytes).sum();
        Ok(Self {
            node: Line::fitted(node).context("measure clusters of different sizes (--nodes 1,3)")?,
            postgres: Line::fitted(postgres)
                .context("measure different numbers of clients (--clients 16,64,256)")?,
            log_bytes: log_bytes / count(u64::try_from(samples.len())?),
        })
    }

    /// Tells what `rate` orders a second need at so many nodes, if one takes
    /// `takes_ms` in the median.
    pub fn needs(&self, rate: f64, nodes: u32, takes_ms: f64) -> Needs {
        let nodes = f64::from(nodes);
        let node_us = self.node.at(passed_on(nodes));
        let postgres_us = self.postgres.at(1.0 / in_progress(rate, takes_ms, nodes));
        Needs {
            node_us,
            postgres_us,
            node_cores: rate * node_us / 1e6,
            postgres_cores: rate * postgres_us / 1e6,
            log_bytes: rate * self.log_bytes,
        }
    }

    /// Returns by what part the processor time of each sample is missed.
    pub(crate) fn errors(&self, samples: &[Sample]) -> Values {
        Values::of(samples.iter().map(|one| {
            let measured = one.node_us + one.postgres_us;
            let told = self.node.at(one.passed_on()) + self.postgres.at(1.0 / one.in_progress);
            (told - measured).abs() / measured
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: Kind = Kind {
        spread: Spread::Hot,
        lines: 1,
        stored: 0,
    };

    /// What costs exactly as the model says, with 20, 90, 60 and 400.
    fn sample(nodes: f64, in_progress: f64) -> Sample {
        Sample {
            nodes,
            in_progress,
            node_us: 20.0 + 90.0 * (nodes - 1.0) / nodes,
            postgres_us: 60.0 + 400.0 / in_progress,
            log_bytes: 3_000.0,
        }
    }

    #[test]
    fn what_follows_the_model_is_told_exactly() {
        let measured = [
            sample(1.0, 16.0),
            sample(1.0, 64.0),
            sample(3.0, 20.0),
            sample(3.0, 5.0),
        ];
        let model = Model::fitted(&measured).unwrap();
        let needs = model.needs(4_000.0, 2, 10.0);
        // 20 in progress at each of the two.
        assert!((needs.node_us - 65.0).abs() < 1e-6, "{needs:?}");
        assert!((needs.postgres_us - 80.0).abs() < 1e-6, "{needs:?}");
        assert!((needs.node_cores - 0.26).abs() < 1e-6, "{needs:?}");
        assert!((needs.log_bytes - 12e6).abs() < 1.0, "{needs:?}");
        // Half of its 324 us are told.
        let slower = Sample {
            node_us: 254.0,
            ..sample(5.0, 40.0)
        };
        let errors = model.errors(&[sample(5.0, 40.0), sample(3.0, 40.0), slower]);
        assert!(errors.median().unwrap() < 1e-9);
        assert!((errors.most().unwrap() - 0.5).abs() < 1e-9, "{:?}", errors.most());
    }

    #[test]
    fn one_size_of_cluster_or_of_crowd_tells_nothing_of_others() {
        for (samples, missing) in [
            ([sample(1.0, 16.0), sample(1.0, 64.0)], "different sizes"),
            ([sample(1.0, 16.0), sample(3.0, 16.0)], "numbers of clients"),
        ] {
            let refused = Model::fitted(&samples).unwrap_err().to_string();
            assert!(refused.contains(missing), "{refused}");
        }
    }

    #[test]
    fn noise_makes_nothing_cheaper_than_nothing() {
        let dear = |node_us, postgres_us, nodes, in_progress| Sample {
            node_us,
            postgres_us,
            ..sample(nodes, in_progress)
        };
        let model = Model::fitted(&[dear(500.0, 400.0, 1.0, 1.0), dear(50.0, 100.0, 3.0, 2.0)]).unwrap();
        assert!(model.node.slope.abs() < f64::EPSILON, "{model:?}");
        assert!(model.postgres.base.abs() < f64::EPSILON, "{model:?}");
        assert!(model.postgres.slope > 0.0, "{model:?}");
    }

    #[test]
    fn orders_of_a_kind_are_read_from_what_a_benchmark_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let one = |contender: &str, spread: &str, refused: u64| {
            serde_json::json!({
                "contender": contender, "work": "orders", "spread": spread, "lines": 1, "clients": 64,
                "rate": 6_000.0, "p50_ms": 10.0, "server_us": 100.0, "postgres_us": 90.0, "log_bytes": 3_000.0,
                "refused": refused, "failed": 0, "stored": 0, "round": 0, "p99_ms": 20.0, "max_ms": 30.0,
                "refused_p99_ms": 0.0, "generator_us": 20.0, "memory_mib": 100.0,
            })
        };
        let all = [
            one("holdfast-3", "hot", 0),
            one("sql-1", "hot", 0),
            one("holdfast-3", "zipf", 0),
            one("holdfast-3", "hot", 1),
        ];
        serde_json::to_writer(&file, &serde_json::json!({ "measurements": all })).unwrap();
        let samples = read(file.path(), HOT).unwrap();
        assert_eq!(samples.len(), 1);
        assert!((samples[0].in_progress - 20.0).abs() < 1e-9);
        let refused = read(file.path(), Kind { lines: 3, ..HOT }).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("has no hot orders of 3 lines beside 0 stored ones"),
            "{refused}"
        );
    }
}
