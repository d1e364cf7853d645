use super::*;
use crate::{
    budget::leases::{Lease, LeaseRules, Step},
    command::Grant,
};

const MS: u64 = 1_000_000;
const RULES: LeaseRules = LeaseRules {
    ttl: 1_000 * MS,
    patience: 250 * MS,
};

fn grant(tokens: u32, remaining: u32) -> Grant {
    Grant {
        tokens,
        remaining,
        wait_ns: 100 * MS,
    }
}

/// Asks and is granted what is wanted; returns how much that was.
fn fetched(lease: &mut Lease, now: u64, remaining: u32) -> u32 {
    let Step::Fetch { wanted } = lease.step(now, 16, RULES) else {
        panic!("nothing is fetched from {lease:?}")
    };
    lease.granted(now, now, grant(wanted, remaining), wanted, RULES);
    wanted
}

fn spends_all(lease: &mut Lease, now: u64) -> u32 {
    let mut spent = 0;
    while let Step::Admit { .. } = lease.clone().step(now, 16, RULES) {
        lease.step(now, 16, RULES);
        spent += 1;
    }
    spent
}

#[test]
fn a_lease_that_is_used_up_early_is_followed_by_a_larger_one() {
    let mut lease = Lease::default();
    let mut sizes = Vec::new();
    for n in 0..6 {
        sizes.push(fetched(&mut lease, n * MS, 1_000));
        assert_eq!(spends_all(&mut lease, n * MS), sizes[sizes.len() - 1]);
    }
    assert_eq!(sizes, [1, 2, 4, 8, 16, 16]);
}

#[test]
fn the_last_tokens_of_a_bucket_are_not_for_one_edge_alone() {
    let mut lease = Lease::default();
    for n in 0..4 {
        fetched(&mut lease, n * MS, 4);
        spends_all(&mut lease, n * MS);
    }
    assert_eq!(fetched(&mut lease, 5 * MS, 0), 2);
}

#[test]
fn somebody_who_asks_rarely_loses_no_tokens() {
    let mut lease = Lease::default();
    let (mut granted, mut spent) = (0, 0);
    for n in 0..20 {
        let now = n * 1_500 * MS;
        granted += fetched(&mut lease, now, 1_000);
        let step = lease.step(now, 16, RULES);
        spent += u32::from(matches!(step, Step::Admit { .. }));
    }
    assert_eq!((granted, spent), (20, 20));
}

#[test]
fn tokens_are_never_spent_late() {
    let mut lease = Lease::default();
    fetched(&mut lease, 0, 1_000);
    // Counted from when they were asked for, however long the answer took.
    assert!(matches!(lease.step(RULES.ttl, 16, RULES), Step::Fetch { .. }));
    lease.granted(RULES.ttl, 3 * RULES.ttl, grant(5, 5), 5, RULES);
    assert!(matches!(lease.step(3 * RULES.ttl, 16, RULES), Step::Fetch { .. }));
}

#[test]
fn all_who_wait_are_asked_for_at_once() {
    let mut lease = Lease::default();
    assert_eq!(lease.step(0, 4, RULES), Step::Fetch { wanted: 1 });
    for _ in 0..30 {
        assert_eq!(lease.step(MS, 4, RULES), Step::Await);
    }
    lease.granted(0, 2 * MS, grant(1, 100), 1, RULES);
    assert!(matches!(lease.step(2 * MS, 4, RULES), Step::Admit { .. }));
    // They look again, the first of them asks for itself; the others wait for the next answer.
    assert_eq!(lease.step(2 * MS, 4, RULES), Step::Fetch { wanted: 2 });
    for _ in 0..29 {
        assert_eq!(lease.step(2 * MS, 4, RULES), Step::Await);
    }
    lease.granted(2 * MS, 3 * MS, grant(2, 98), 2, RULES);
    assert_eq!(spends_all(&mut lease, 3 * MS), 2);
}

#[test]
fn a_refusal_is_believed_for_a_while_and_then_looked_at_again() {
    let mut lease = Lease::default();
    lease.step(0, 16, RULES);
    let nothing = Grant {
        tokens: 0,
        remaining: 0,
        wait_ns: 60_000 * MS,
    };
    lease.granted(0, 0, nothing, 1, RULES);
    let wait = Duration::from_millis(59_500);
    assert_eq!(lease.step(500 * MS, 16, RULES), Step::Refuse { wait });
    // Its owner may be another one by now.
    assert_eq!(lease.step(1_000 * MS, 16, RULES), Step::Fetch { wanted: 1 });
}

#[test]
fn an_answer_that_was_given_up_is_passed_over() {
    let mut lease = Lease::default();
    lease.step(0, 16, RULES);
    assert_eq!(lease.step(RULES.patience, 16, RULES), Step::Fetch { wanted: 1 });
    lease.granted(0, RULES.patience, grant(1, 9), 1, RULES);
    assert_eq!(lease.step(RULES.patience, 16, RULES), Step::Await);
    lease.failed(RULES.patience);
    assert!(matches!(
        lease.step(RULES.patience, 16, RULES),
        Step::Fetch { .. }
    ));
}
