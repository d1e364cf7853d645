//! What was run, on what.

use std::fs;
use std::thread::available_parallelism;

use crate::chaos::faults::{FaultKind, OtherRelease};
use crate::chaos::{ChaosOptions, PAYMENT_DEADLINE};
use crate::up::Instance;

/// Names and values, in order.
#[derive(Clone, Debug)]
pub(in crate::chaos) struct Facts {
    pub(super) command: String,
    pub(super) rows: Vec<(&'static str, String)>,
    /// The nodes' names, by index.
    pub(super) names: Vec<String>,
    pub(super) seconds: u64,
}

impl Facts {
    pub(in crate::chaos) fn collect(
        options: &ChaosOptions,
        names: &[String],
        clients: usize,
        database: &Instance,
    ) -> Self {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let cores = available_parallelism().map_or(0, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let faults: Vec<&str> = options.faults.iter().map(|kind| kind.name()).collect();
        let time = time::OffsetDateTime::now_utc();
        let rows = vec![
            ("seed", options.seed.to_string()),
            (
                "faults",
                format!(
                    "{}, {}",
                    faults.join(", "),
                    if options.in_pairs {
                        "in pairs"
                    } else {
                        "one at a time"
                    }
                ),
            ),
            (
                "load",
                format!(
                    "{} operations/s for {} s by {clients} clients; unpaid orders expire after {PAYMENT_DEADLINE}",
                    options.rate,
                    options.duration.as_secs(),
                ),
            ),
            ("nodes", names.join(", ")),
            (
                "partitions",
                "by relays between the nodes, and between each node and Postgres".to_owned(),
            ),
            (
                "wall clocks",
                if options.faults.contains(&FaultKind::Clock) {
                    "moved by libfaketime"
                } else {
                    "not moved"
                }
                .to_owned(),
            ),
            (
                "other release",
                if options.faults.contains(&FaultKind::Upgrade) {
                    OtherRelease::of(options.other_build.as_deref()).describe()
                } else {
                    "none".to_owned()
                },
            ),
            (
                "build",
                format!("holdfast {}, {profile}", env!("CARGO_PKG_VERSION")),
            ),
            ("database", database.installation.clone()),
            (
                "machine",
                format!(
                    "{cores} cores, {} {} {}",
                    std::env::consts::OS,
                    kernel.trim(),
                    std::env::consts::ARCH
                ),
            ),
            (
                "begun",
                format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute()),
            ),
        ];
        Self {
            command: options.command.clone(),
            rows,
            names: names.to_vec(),
            seconds: options.duration.as_secs(),
        }
    }
}
