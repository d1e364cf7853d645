use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::budget::{Policy, Scope, buckets::Drawn};

#[test]
fn a_draw_gets_what_is_there_and_is_told_when_there_is_more() {
    let (buckets, clock) = buckets(1_000);
    let drawn = buckets.draw_up_to(&key(1), 4);
    assert_eq!((drawn.tokens, drawn.remaining), (4, 6));
    let drawn = buckets.draw_up_to(&key(1), 100);
    assert_eq!((drawn.tokens, drawn.remaining), (6, 0));
    assert_eq!(drawn.wait, Duration::from_millis(100));
    clock.advance(Duration::from_millis(40));
    assert_eq!(
        buckets.draw_up_to(&key(1), 3),
        Drawn::nothing(Duration::from_millis(60))
    );
    clock.advance(Duration::from_millis(200));
    let drawn = buckets.draw_up_to(&key(1), 3);
    assert_eq!((drawn.tokens, drawn.remaining), (2, 0));
    assert_eq!(drawn.wait, Duration::from_millis(60));
}

#[test]
fn a_share_is_the_same_part_of_rate_and_burst() {
    let (buckets, clock) = buckets(1_000);
    let share = |buckets: &Buckets<_>| buckets.draw_whole(&key(1), 3).tokens;
    let admitted: u32 = (0..10).map(|_| share(&buckets)).sum();
    assert_eq!(admitted, 3, "a third of ten, in whole requests");
    clock.advance(Duration::from_secs(3));
    let admitted: u32 = (0..10).map(|_| share(&buckets)).sum();
    assert_eq!(admitted, 3);
    // More nodes than a burst has requests: each admits one of them.
    assert_eq!(buckets.draw_whole(&key(2), 64).tokens, 1);
    assert_eq!(buckets.draw_whole(&key(2), 64).tokens, 0);
}

#[test]
fn budgets_of_classes_and_subjects_are_apart() {
    let (buckets, _) = buckets(1_000);
    assert_eq!(buckets.draw_up_to(&key(1), 10).tokens, 10);
    assert_eq!(buckets.draw_up_to(&key(1), 1).tokens, 0);
    assert_eq!(buckets.draw_up_to(&key(2), 1).tokens, 1);
    let orders = Key {
        class: Class::Orders,
        ..key(1)
    };
    assert_eq!(buckets.draw_up_to(&orders, 1).tokens, 1);
}

#[test]
fn an_address_is_its_network_and_is_no_caller() {
    let of = |text: &str| Subject::address(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(of("198.51.100.7"), of("::ffff:198.51.100.7"));
    assert_ne!(of("198.51.100.7"), of("198.51.100.8"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    let Subject::Address(bytes) = of("198.51.100.7") else {
        panic!("an address")
    };
    let caller = Subject::Caller(bytes);
    assert_eq!(caller.scope(), Scope::Caller);
    assert_ne!(of("198.51.100.7").home(), caller.home());
}

#[test]
fn neighbours_fall_into_all_shards() {
    let mut hit = [false; 256];
    for n in 0..4_096 {
        hit[usize::from(key(0x0a00_0000 + n).subject.shard().0)] = true;
    }
    assert!(hit.iter().filter(|hit| **hit).count() > 250);
}

#[test]
fn policies_stand_where_they_say() {
    for (at, policy) in Policy::all().enumerate() {
        assert_eq!(policy.index(), at, "{}", policy.as_str());
    }
}

proptest! {
    #[test]
    fn no_window_sees_more_than_burst_and_rate(
        steps in proptest::collection::vec((0_u64..400, 1_u32..12), 1..120),
    ) {
        let (buckets, clock) = buckets(1_000);
        let (mut now, mut draws) = (0_u64, Vec::new());
        for (pause_ms, wanted) in steps {
            clock.advance(Duration::from_millis(pause_ms));
            now += pause_ms;
            let drawn = buckets.draw_up_to(&key(1), wanted);
            prop_assert!(drawn.tokens <= wanted);
            prop_assert!(drawn.tokens == wanted || !drawn.wait.is_zero());
            draws.push((now, u64::from(drawn.tokens)));
        }
        for (first, (from, _)) in draws.iter().enumerate() {
            let mut sum = 0;
            for (at, tokens) in &draws[first..] {
                sum += tokens;
                prop_assert!(sum <= 10 + (at - from) / 100, "{sum} in {} ms", at - from);
            }
        }
    }
}
