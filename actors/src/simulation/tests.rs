//! The simulation itself: that histories keep their promises, and that it would notice if they did not.

use holdfast_store::model::Guards;

use super::*;

/// Histories that the test run tries.
const HISTORIES: u64 = 10_000;
/// Histories within which a missing guard must have been noticed.
const NOTICED_WITHIN: u64 = 2_000;

#[test]
fn ten_thousand_histories_keep_every_promise() {
    if let Some(failure) = simulate_many(0..HISTORIES, || {}) {
        panic!("{failure}");
    }
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in 0..20 {
        let plan = Plan::of(seed);
        let first = run(&plan, Switches::default(), true);
        let second = run(&plan, Switches::default(), true);
        assert_eq!(first.trace, second.trace);
        assert!(first.trace.len() > 10, "seed {seed} is a dull history");
    }
}

#[test]
fn late_payments_revive_orders_or_are_refunded() {
    let traces = (0..200).flat_map(|seed| run(&Plan::of(seed), Switches::default(), true).trace);
    let traces: Vec<String> = traces.collect();
    for end in ["is confirmed in round 1", "is expired in round 1"] {
        assert!(traces.iter().any(|step| step.ends_with(end)), "no order {end}");
    }
}

/// Takes something away, and returns the breaches of the first history that suffers from it.
fn breaches_without(switches: Switches) -> Vec<String> {
    let first = (0..NOTICED_WITHIN).find_map(|seed| {
        let breaches = run(&Plan::of(seed), switches, false).breaches;
        (!breaches.is_empty()).then_some((seed, breaches))
    });
    let (seed, breaches) = first.expect("a missing guard is noticed");
    println!("noticed by seed {seed}: {}", breaches.join("; "));
    breaches
}

#[test]
fn a_missing_fence_is_noticed() {
    breaches_without(Switches {
        guards: Guards {
            fence: false,
            ..Guards::default()
        },
        ..Switches::default()
    });
}

#[test]
fn a_missing_version_check_is_noticed() {
    breaches_without(Switches {
        guards: Guards {
            versions: false,
            ..Guards::default()
        },
        ..Switches::default()
    });
}

#[test]
fn missing_unique_keys_are_noticed() {
    breaches_without(Switches {
        guards: Guards {
            unique_keys: false,
            ..Guards::default()
        },
        ..Switches::default()
    });
}

#[test]
fn a_missing_compare_and_set_of_orders_is_noticed() {
    breaches_without(Switches {
        guards: Guards {
            order_compare_and_set: false,
            ..Guards::default()
        },
        ..Switches::default()
    });
}

#[test]
fn refusals_that_do_not_wait_are_noticed() {
    let breaches = breaches_without(Switches {
        refuses_early: true,
        ..Switches::default()
    });
    assert!(breaches.iter().any(|breach| breach.contains("was told that")));
}

#[test]
fn answers_that_do_not_wait_are_noticed() {
    breaches_without(Switches {
        answers_early: true,
        ..Switches::default()
    });
}

#[test]
fn a_failing_plan_is_made_smaller_and_fails_still() {
    let switches = Switches {
        refuses_early: true,
        ..Switches::default()
    };
    let fails = |plan: &Plan| !run(plan, switches, false).breaches.is_empty();
    let failing = (0..NOTICED_WITHIN)
        .map(Plan::of)
        .find(fails)
        .expect("a missing gate is noticed");
    let smallest = shrink::smallest(failing.clone(), fails);
    assert!(fails(&smallest));
    let size = |plan: &Plan| plan.asks.len() + plan.faults.len();
    assert!(size(&smallest) < size(&failing));
    let told = explain(failing, switches);
    assert!(!told.breaches.is_empty() && !told.trace.is_empty());
}
