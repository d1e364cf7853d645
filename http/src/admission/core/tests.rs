use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const OPTIONS: GateOptions = GateOptions {
    max: 1024,
    target: Some(Duration::from_millis(500)),
    overload_after: Duration::from_millis(500),
};

type Caller = usize;

/// A server that answers in the order of arrival, so many a second.
struct Server {
    gate: Gate<Caller>,
    per_second: usize,
    /// What waits to be answered, and since when.
    waiting: VecDeque<(Caller, Duration)>,
    now: Duration,
    /// Thousandths of a request that could have been answered by now.
    credit: usize,
    tally: Tally,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    served: HashMap<Caller, usize>,
    refused: HashMap<Caller, usize>,
    longest: Duration,
    most_in_progress: usize,
    retry_after_s: (u32, u32),
}

impl Tally {
    fn served(&self) -> usize {
        self.served.values().sum()
    }

    fn refused(&self) -> usize {
        self.refused.values().sum()
    }
}

impl Server {
    fn new(per_second: usize) -> Self {
        Self {
            gate: Gate::new(OPTIONS),
            per_second,
            waiting: VecDeque::new(),
            now: Duration::ZERO,
            credit: 0,
            tally: Tally {
                retry_after_s: (u32::MAX, 0),
                ..Tally::default()
            },
        }
    }

    /// Asks once; tells whether it was let in.
    fn ask(&mut self, caller: Caller) -> bool {
        match self.gate.arrive(self.now, &caller) {
            Decision::Admitted => self.waiting.push_back((caller, self.now)),
            Decision::Refused { retry_after_s, .. } => {
                *self.tally.refused.entry(caller).or_default() += 1;
                let (least, most) = self.tally.retry_after_s;
                self.tally.retry_after_s = (least.min(retry_after_s), most.max(retry_after_s));
                return false;
            }
        }
        let in_progress = self.gate.state(self.now).in_progress;
        self.tally.most_in_progress = self.tally.most_in_progress.max(in_progress);
        true
    }

    /// Lets a millisecond pass; returns who was answered.
    fn pass(&mut self) -> Vec<Caller> {
        self.now += MS;
        self.credit += self.per_second;
        let mut answered = Vec::new();
        while self.credit >= 1000 {
            let Some((caller, since)) = self.waiting.pop_front() else {
                self.credit = 0;
                break;
            };
            self.credit -= 1000;
            let delay = self.now.saturating_sub(since);
            self.gate.end(self.now, &caller, delay, Outcome::Served);
            *self.tally.served.entry(caller).or_default() += 1;
            self.tally.longest = self.tally.longest.max(delay);
            answered.push(caller);
        }
        answered
    }

    /// Lets callers ask at these rates a second, whatever they are answered; returns what happened.
    fn ask_at(&mut self, rates: &[usize], seconds: u32) -> Tally {
        self.tally = Tally {
            retry_after_s: (u32::MAX, 0),
            ..Tally::default()
        };
        let mut due = vec![0; rates.len()];
        for turn in 0..usize::try_from(seconds * 1000).expect("small") {
            for nth in 0..rates.len() {
                let caller = (nth + turn) % rates.len();
                let rate = rates[caller];
                due[caller] += rate;
                while due[caller] >= 1000 {
                    due[caller] -= 1000;
                    self.ask(caller);
                }
            }
            self.pass();
        }
        self.tally.clone()
    }

    /// Lets so many clients ask again whenever they were answered.
    fn ask_by(&mut self, clients: usize, seconds: u32) {
        for client in 0..clients {
            self.ask(client);
        }
        for _ in 0..seconds * 1000 {
            for client in self.pass() {
                self.ask(client);
            }
        }
    }
}

/// Lets some callers want three times all that can be done, together, and one more want a tenth; returns what
/// happened once they were at it.
fn ask_beside_a_light_one(per_second: usize, heavy: usize) -> Tally {
    let mut server = Server::new(per_second);
    let mut rates = vec![3 * per_second / heavy; heavy];
    rates.push(per_second / 10);
    server.ask_at(&rates, 12);
    server.ask_at(&rates, 20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn clients_that_wait_for_their_answers_are_never_refused(
        clients in 1_usize..=1024,
        spare in 1_usize..4_000,
    ) {
        let mut server = Server::new(clients * 2 + spare);
        server.ask_by(clients, 8);
        prop_assert_eq!(server.tally.refused(), 0);
    }

    #[test]
    fn a_few_clients_are_not_refused_however_slow_the_answers(
        clients in 1_usize..=FLOOR,
        per_second in 2_usize..100,
    ) {
        let mut server = Server::new(per_second);
        server.ask_by(clients, 30);
        prop_assert_eq!(server.tally.refused(), 0);
    }

    #[test]
    fn far_more_than_can_be_done_leaves_what_is_done_as_it_is(
        per_second in 20_usize..3_000,
        times in 2_usize..8,
    ) {
        let mut server = Server::new(per_second);
        let rates = vec![per_second * times / 40 + 1; 40];
        server.ask_at(&rates, 12);
        let tally = server.ask_at(&rates, 20);
        prop_assert!(tally.served() >= per_second * 20 * 95 / 100, "{:?}", tally);
        prop_assert!(tally.most_in_progress <= OPTIONS.max);
        // What the floor lets in takes as long as it takes.
        let by_floor = Duration::from_secs(1) * u32::try_from(FLOOR).expect("small") / u32::try_from(per_second).expect("small");
        prop_assert!(tally.longest <= Duration::from_millis(1_300).max(by_floor * 3 / 2), "{:?}", tally.longest);
        let (least, most) = tally.retry_after_s;
        prop_assert!(least == 1 && usize::try_from(most).expect("small") <= times + 1, "{least} to {most}");
    }

    #[test]
    fn who_asks_for_less_than_a_share_is_rarely_refused_whatever_others_ask(
        per_second in 200_usize..3_000,
        heavy in 1_usize..6,
    ) {
        let tally = ask_beside_a_light_one(per_second, heavy);
        let refused = tally.refused.get(&heavy).copied().unwrap_or_default();
        let asked = refused + tally.served[&heavy];
        prop_assert!(refused * 20 <= asked, "{refused} of {asked}");
        let of_heavy = |caller: Caller| tally.served[&caller];
        let (least, most) = (0..heavy).fold((usize::MAX, 0), |(least, most), caller| {
            (least.min(of_heavy(caller)), most.max(of_heavy(caller)))
        });
        prop_assert!(most <= least * 5 / 4, "{:?}", tally.served);
    }

    #[test]
    fn only_who_holds_requests_is_remembered_and_no_more_are_let_in_than_may_be(
        max in 1_usize..300,
        events in prop::collection::vec((0_usize..12, any::<bool>(), 0_u64..400), 1..600),
    ) {
        let mut gate = Gate::new(GateOptions { max, ..OPTIONS });
        let mut held: HashMap<Caller, Vec<Duration>> = HashMap::new();
        let mut now = Duration::ZERO;
        for (caller, comes, ms) in events {
            now += MS * u32::try_from(ms).expect("small");
            if comes {
                let mine = held.get(&caller).map_or(0, Vec::len);
                let decision = gate.arrive(now, &caller);
                if decision == Decision::Admitted {
                    held.entry(caller).or_default().push(now);
                }
                // A refusal changes nothing.
                let free = gate.state(now).limit.saturating_sub(gate.in_progress);
                if let Decision::Refused { why, retry_after_s } = decision {
                    prop_assert!((1..=30).contains(&retry_after_s));
                    prop_assert!(free == 0 || mine >= free);
                    prop_assert!(why != Why::Full || free == 0);
                }
            } else if let Some(since) = held.get_mut(&caller).and_then(Vec::pop) {
                gate.end(now, &caller, now.saturating_sub(since), Outcome::Served);
            }
            held.retain(|_, since| !since.is_empty());
            prop_assert_eq!(gate.in_progress, held.values().map(Vec::len).sum::<usize>());
            prop_assert_eq!(gate.held.len(), held.len());
            prop_assert!(gate.in_progress <= max);
        }
    }
}

/// A quarter of the limit was too little to keep for those who hold little.
#[test]
fn who_asks_for_less_than_a_share_is_rarely_refused_at_rates_at_which_a_limit_swings_most() {
    for (per_second, heavy) in [(202, 5), (204, 5), (206, 5), (209, 5), (208, 4)] {
        let tally = ask_beside_a_light_one(per_second, heavy);
        let refused = tally.refused.get(&heavy).copied().unwrap_or_default();
        let asked = refused + tally.served[&heavy];
        assert!(refused * 20 <= asked, "{per_second}/s: {refused} of {asked}");
    }
}

#[test]
fn a_crowd_that_comes_at_once_is_let_in() {
    let mut server = Server::new(100);
    assert!((0..1000).all(|caller| server.ask(caller)));
}

#[test]
fn when_it_is_over_the_limit_grows_back() {
    let mut server = Server::new(200);
    server.ask_at(&[30; 20], 12);
    assert!(server.gate.state(server.now).limit < 200);
    server.ask_at(&[5; 20], 12);
    assert_eq!(server.gate.state(server.now).limit, OPTIONS.max);
}

#[test]
fn a_rest_ends_an_overload() {
    let mut server = Server::new(200);
    server.ask_at(&[30; 20], 12);
    while !server.pass().is_empty() || !server.waiting.is_empty() {}
    server.now += Duration::from_mins(1);
    let state = server.gate.state(server.now);
    assert_eq!((state.in_progress, state.delay), (0, Duration::ZERO));
    server.now += Duration::from_mins(1);
    assert_eq!(server.gate.state(server.now).limit, OPTIONS.max);
}

#[test]
fn quick_failures_do_not_hide_a_queue() {
    let mut server = Server::new(200);
    for _ in 0..12_000 {
        server.ask(0);
        if server.gate.arrive(server.now, &1) == Decision::Admitted {
            server.gate.end(server.now, &1, MS, Outcome::Other);
        }
        server.pass();
    }
    assert!(server.gate.state(server.now).limit < 200);
}

#[test]
fn a_standstill_tells_nothing_of_a_queue() {
    let mut server = Server::new(1_000);
    server.ask_by(256, 2);
    // Nobody answers for two seconds, as when an owner dies.
    server.per_second = 0;
    server.ask_by(0, 2);
    server.per_second = 1_000;
    server.ask_by(0, 4);
    assert_eq!(server.tally.refused(), 0);
    assert_eq!(server.gate.state(server.now).limit, OPTIONS.max);
}

#[test]
fn delays_of_a_kind_without_a_target_tell_nothing() {
    let mut gate = Gate::new(GateOptions {
        target: None,
        ..OPTIONS
    });
    for second in 1..20 {
        let now = Duration::from_secs(second);
        assert_eq!(gate.arrive(now, &0), Decision::Admitted);
        gate.end(now, &0, Duration::from_secs(3), Outcome::Served);
    }
    assert_eq!(gate.state(Duration::from_secs(20)).limit, OPTIONS.max);
}
