//! Budgets without tasks, sockets or waiting: the clock is a number.

mod buckets;
mod leases;
mod memory;
mod whole;

use std::{net::Ipv4Addr, time::Duration};

use governor::clock::FakeRelativeClock;

use super::{Class, Rate, Rates, Subject, buckets::Buckets, policy::Key};

/// One request in a tenth of a second, ten at once.
pub(super) const RATE: Rate = Rate {
    requests: 10,
    per: Duration::from_secs(1),
    burst: 10,
};

pub(super) fn rates(rate: Rate) -> Rates {
    Rates {
        reads_by_address: rate,
        ..Rates::default()
    }
}

pub(super) fn key(n: u32) -> Key {
    Key {
        class: Class::Reads,
        subject: Subject::address(Ipv4Addr::from(n).into()),
    }
}

pub(super) fn buckets(max: usize) -> (Buckets<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Buckets::new(&rates(RATE), max, &clock), clock)
}
