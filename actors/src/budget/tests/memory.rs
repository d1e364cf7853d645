use super::*;
use crate::{
    budget::leases::{LeaseRules, Leases, Step},
    command::Grant,
};

const MAX: usize = 100_000;
const MILLION: u32 = 1_000_000;

#[test]
fn a_million_addresses_are_counted_in_bounded_memory() {
    let (buckets, clock) = buckets(MAX);
    for n in 0..MILLION {
        assert_eq!(buckets.draw_up_to(&key(n), 1).tokens, 1);
        if n % 100 == 0 {
            clock.advance(Duration::from_micros(10));
        }
    }
    assert!(buckets.len() <= MAX, "{} are remembered", buckets.len());
    assert!(buckets.len() > MAX * 9 / 10, "{} are remembered", buckets.len());
    assert!(buckets.bytes() < 24 << 20, "{} bytes", buckets.bytes());
    println!("buckets: {} in {} bytes", buckets.len(), buckets.bytes());
    // Once they are full again there is nothing to remember.
    clock.advance(Duration::from_secs(1));
    buckets.forget_full();
    assert_eq!(buckets.len(), 0);
}

#[test]
fn leases_of_a_million_addresses_take_bounded_memory() {
    let ms = 1_000_000;
    let rules = LeaseRules {
        ttl: 1_000 * ms,
        patience: 250 * ms,
    };
    let leases = Leases::new(MAX, rules);
    for n in 0..MILLION {
        let now = u64::from(n) * 1_000;
        let Step::Fetch { wanted } = leases.step(&key(n), now, 4) else {
            panic!("a stranger holds a lease")
        };
        let grant = Grant {
            tokens: wanted,
            remaining: 9,
            wait_ns: 0,
        };
        leases.granted(&key(n), now, now, grant, wanted);
        assert!(matches!(leases.step(&key(n), now, 4), Step::Admit { .. }));
    }
    assert!(leases.len() <= MAX, "{} are remembered", leases.len());
    assert!(leases.bytes() < 48 << 20, "{} bytes", leases.bytes());
    println!("leases: {} in {} bytes", leases.len(), leases.bytes());
    leases.forget_expired(10_000 * ms);
    assert_eq!(leases.len(), 0);
}

#[test]
fn a_flood_of_newcomers_pushes_out_full_buckets_before_drained_ones() {
    let (buckets, _) = buckets(1_600);
    let drained: Vec<u32> = (0..100).collect();
    for n in &drained {
        assert_eq!(buckets.draw_up_to(&key(*n), 10).tokens, 10);
    }
    for n in 1_000..101_000 {
        buckets.draw_up_to(&key(n), 1);
    }
    for n in &drained {
        assert_eq!(
            buckets.draw_up_to(&key(*n), 1).tokens,
            0,
            "{n} got its burst again"
        );
    }
}

#[test]
fn a_newcomer_is_counted_among_drained_buckets_too() {
    let (buckets, _) = buckets(160);
    for n in 0..1_000 {
        buckets.draw_up_to(&key(n), 10);
    }
    let admitted: u32 = (0..100).map(|_| buckets.draw_up_to(&key(5_000), 1).tokens).sum();
    assert_eq!(admitted, 10);
}
