//! Trying to break a cluster by the command that does so.

use std::fs;

use crate::harness::launched::Site;

/// Some of the menu that is over soon: of nodes, of the network, of the database.
const FAULTS: [&str; 3] = ["kill", "two-way", "pg-kill"];

#[test]
fn a_short_run_keeps_every_promise_and_reports_it() {
    // A kill must not show at the other nodes, however busy this machine is: what may take two seconds
    // gets four.
    let site = Site::new().with_variable("HOLDFAST_CLUSTER__OPERATION_BUDGET", "4s");
    let report = site.path("report.html");
    let data_dir = site.data_dir();
    let faults = FAULTS.join(",");
    let arguments = [
        "chaos",
        "--seconds",
        "8",
        "--seed",
        "3",
        "--faults",
        &faults,
        "--report",
        report.to_str().expect("a path of ours is plain"),
        "--data-dir",
        data_dir.to_str().expect("a path of ours is plain"),
    ];
    let output = site.run(&arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("clean: "), "{said}");
    let again = format!("again:  holdfast chaos --seconds 8 --rate 60 --seed 3 --faults {faults}");
    assert!(said.contains(&again), "{said}");

    let page = fs::read_to_string(&report).expect("a report");
    assert_eq!(page.matches("<svg").count(), 3, "throughput, latency, recovery");
    let served = FAULTS
        .iter()
        .filter(|fault| page.contains(&format!("<td>{fault}</td>")));
    assert!(served.count() >= 2, "faults were inflicted: {said}");
    for reference in ["src=", "href=", "<script", "url("] {
        assert!(
            !page.contains(reference),
            "the page needs nothing else: {reference}"
        );
    }
}

#[test]
fn nodes_of_two_wire_versions_and_one_that_stalls_before_it_is_answered_keep_every_promise() {
    let site = Site::new().with_variable("HOLDFAST_CLUSTER__OPERATION_BUDGET", "4s");
    let output = run(&site, "upgrade,pause-sent");
    assert!(output.status.success(), "{output:?}");
    let remarked = String::from_utf8_lossy(&output.stderr);
    assert!(remarked.contains("back as the other release"), "{remarked}");
}

/// Wherever the checks run on a bare machine, the library is installed before.
#[test]
fn nobody_notices_that_a_nodes_wall_clock_is_an_hour_off_or_the_run_says_that_it_cannot_show_it() {
    let site = Site::new().with_variable("HOLDFAST_CLUSTER__OPERATION_BUDGET", "4s");
    let output = run(&site, "clock");
    let remarked = String::from_utf8_lossy(&output.stderr);
    if remarked.contains("libfaketime is not installed") {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(std::env::var_os("CI").is_none(), "{remarked}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    assert!(remarked.contains("wall clock set"), "{remarked}");
}

/// Has a run inflict `faults`.
fn run(site: &Site, faults: &str) -> std::process::Output {
    let report = site.path("report.html");
    let report = report.to_str().expect("a path of ours is plain");
    site.run(&[
        "chaos",
        "--seconds",
        "12",
        "--seed",
        "5",
        "--faults",
        faults,
        "--report",
        report,
    ])
}

#[test]
fn a_fault_that_is_not_on_the_menu_is_refused_by_the_names_of_those_that_are() {
    let output = Site::new().run(&["chaos", "--faults", "kill,flood"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let remarked = String::from_utf8_lossy(&output.stderr);
    assert!(remarked.contains("pg-immediate"), "{remarked}");
}
