//! `holdfast bench`, as short as can be: what it finds means nothing then, but it finds something.

use std::fs;

use serde_json::Value;

use crate::harness::launched::Site;

/// Measures with these arguments besides a small stage's; returns the results.
fn measured(arguments: &[&str]) -> Value {
    measured_at(&Site::new(), arguments)
}

fn measured_at(site: &Site, arguments: &[&str]) -> Value {
    let results = site.path("results.json");
    let mut all = vec![
        "bench",
        "--nodes",
        "1",
        "--products",
        "4",
        "--clients",
        "8",
        "--seconds",
        "1",
        "--warm-up",
        "1",
        "--rounds",
        "1",
        "--json",
        results.to_str().expect("a path of ours is plain"),
    ];
    all.extend(arguments);
    let output = site.run(&all);
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&results).expect("results");
    serde_json::from_str(&text).expect("JSON")
}

/// Lists who was measured at some work, and expects that everything they were asked was done.
fn who(results: &Value, work: &str) -> Vec<String> {
    let measurements = results["measurements"].as_array().expect("measurements");
    let of_work = measurements.iter().filter(|one| one["work"] == work);
    of_work
        .map(|one| {
            assert!(one["rate"].as_f64() > Some(0.0), "{one}");
            assert_eq!(
                (&one["failed"], &one["refused"]),
                (&Value::from(0), &Value::from(0)),
                "{one}"
            );
            one["contender"].as_str().expect("a name").to_owned()
        })
        .collect()
}

#[test]
fn a_cluster_is_measured_beside_what_it_is_compared_with() {
    let results = measured(&["--work", "orders,reads,logins", "--spread", "hot"]);
    let orders = who(&results, "orders");
    // SQL alone takes pgbench, which not every installation of PostgreSQL has.
    assert!(
        orders == ["holdfast-1", "bound"] || orders == ["holdfast-1", "bound", "sql-1", "sql-4"],
        "{orders:?}"
    );
    assert_eq!(who(&results, "reads"), ["holdfast-1", "bare"]);
    assert_eq!(who(&results, "logins"), ["holdfast-1", "bare"]);
}

#[test]
fn an_open_load_comes_at_its_rate_and_orders_of_several_lines_are_placed() {
    let results = measured(&[
        "--rate",
        "40",
        "--lines",
        "3",
        "--spread",
        "zipf",
        "--no-references",
    ]);
    assert_eq!(who(&results, "orders"), ["holdfast-1"]);
    let rate = results["measurements"][0]["rate"].as_f64().expect("a rate");
    assert!((20.0..=60.0).contains(&rate), "{rate}");
    assert_eq!(results["measurements"][0]["offered"], 40);
}

#[test]
fn latency_is_drawn_against_the_rates_that_were_offered() {
    let site = Site::new();
    let plot = site.path("plot.svg");
    let plot = plot.to_str().expect("a path of ours is plain");
    let rates = ["--rate", "20,40", "--spread", "hot", "--plot", plot];
    let results = measured_at(&site, &rates);
    assert!(who(&results, "orders").contains(&"bound".to_owned()));
    let drawn = fs::read_to_string(plot).expect("a plot");
    assert!(
        drawn.starts_with("<svg") && drawn.contains("bound: hot orders, 8 clients"),
        "{drawn}"
    );
}

#[test]
fn a_plot_without_rates_and_a_size_that_is_named_twice_are_refused() {
    for arguments in [&["--plot", "x.svg"][..], &["--nodes", "1,1"]] {
        let output = Site::new().run(&[&["bench"], arguments].concat());
        assert!(!output.status.success(), "{output:?}");
    }
}
