//! Breaking a cluster that has lost what holds a promise: the command must notice.
//!
//! What is inflicted comes from the menu, but for the fence. A seed draws the same faults each time; when
//! they strike depends on the machine, so each guard has a few seeds, and counts as noticed with the first
//! that finds one of its promises broken. Other promises may break besides: they do not count.

use std::path::Path;

use crate::harness::launched::Site;

/// How a guard is taken away, and what notices.
struct Mutation {
    /// What is missing.
    guard: &'static str,
    /// What is inflicted, under which load and for how long.
    options: &'static str,
    /// Settings of the nodes.
    variables: &'static [(&'static str, &'static str)],
    seeds: &'static [u64],
    /// The promises of which one must be found broken.
    promises: &'static [&'static str],
}

impl Mutation {
    fn is_noticed(&self) {
        let mut said = Vec::new();
        for seed in self.seeds {
            match self.breaks_a_promise(*seed) {
                Ok(()) => return,
                Err(told) => said.push(told),
            }
        }
        panic!("the loss of {} is not noticed: {}", self.guard, said.join("\n"));
    }

    /// Runs a seed, which must break a promise that the guard holds; returns what was said instead.
    fn breaks_a_promise(&self, seed: u64) -> Result<(), String> {
        let site = self
            .variables
            .iter()
            .fold(Site::new(), |site, (name, text)| site.with_variable(name, text));
        let (report, data_dir) = (site.path("report.html"), site.data_dir());
        let plain = |path: &Path| path.to_str().expect("a path of ours is plain").to_owned();
        let mut arguments: Vec<String> = ["chaos", "--without", self.guard].map(str::to_owned).into();
        arguments.extend(self.options.split_whitespace().map(str::to_owned));
        arguments.extend(["--seed".to_owned(), seed.to_string()]);
        arguments.extend(["--report".to_owned(), plain(&report)]);
        arguments.extend(["--data-dir".to_owned(), plain(&data_dir)]);
        let output = site.run(&arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        let is_told = |promise: &&str| said.contains(&format!("BREACH of {promise}: "));
        let is_broken = output.status.code() == Some(1) && said.contains("BROKEN: ");
        if is_broken && self.promises.iter().any(is_told) {
            return Ok(());
        }
        Err(format!("{output:?}"))
    }
}

#[test]
fn a_missing_fence_is_noticed() {
    let mutation = Mutation {
        guard: "fence",
        options: "--seconds 16 --faults misjudge --nodes 2 --clients 16 --rate 150",
        // Neither silence on its links nor its next heartbeat must tell a node at once that it was
        // declared dead.
        variables: &[
            ("HOLDFAST_LINK__SILENT_AFTER", "15s"),
            ("HOLDFAST_MEMBERSHIP__HEARTBEAT", "1s"),
            ("HOLDFAST_MEMBERSHIP__SUSPECT_AFTER", "4s"),
        ],
        seeds: &[1, 2, 3],
        promises: &["epochs"],
    };
    mutation.is_noticed();
}

#[test]
fn missing_version_checks_are_noticed() {
    let mutation = Mutation {
        guard: "versions",
        options: "--seconds 12 --faults one-way,two-way --rate 120",
        variables: &[],
        seeds: &[1, 2, 3],
        promises: &["reserved", "reservations", "counters", "ledger", "conservation"],
    };
    mutation.is_noticed();
}

#[test]
fn missing_unique_keys_are_noticed() {
    let mutation = Mutation {
        guard: "unique-keys",
        options: "--seconds 4 --faults pg-kill",
        variables: &[],
        seeds: &[1, 2],
        promises: &["acknowledged", "keys"],
    };
    mutation.is_noticed();
}

#[test]
fn a_missing_compare_and_set_of_orders_is_noticed() {
    // Longer than an order may be at being placed: a client's retry and the sweeper drive it at once.
    let mutation = Mutation {
        guard: "compare-and-set",
        options: "--seconds 22 --faults two-way --rate 100",
        variables: &[],
        seeds: &[2, 46, 56],
        promises: &["transitions", "acknowledged"],
    };
    mutation.is_noticed();
}

#[test]
fn answers_that_do_not_wait_are_noticed() {
    let mutation = Mutation {
        guard: "early-answers",
        options: "--seconds 6 --faults kill",
        variables: &[],
        seeds: &[1, 2],
        promises: &["acknowledged"],
    };
    mutation.is_noticed();
}

#[test]
fn refusals_that_do_not_wait_are_noticed() {
    let mutation = Mutation {
        guard: "early-refusals",
        options: "--seconds 12 --faults slow-disk --rate 200 --clients 16",
        variables: &[],
        seeds: &[2, 1, 3],
        promises: &["sold out"],
    };
    mutation.is_noticed();
}
