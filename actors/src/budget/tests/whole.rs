//! An owner and three edges, with answers that take their time: the bound holds in every window.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    budget::leases::{LeaseRules, Leases, Step},
    command::Grant,
};

const MS: u64 = 1_000_000;
const EDGES: usize = 3;
const TTL_MS: u64 = 500;

/// A request at an edge, some time after the one before; should the owner be asked, its answer takes
/// so long, half of it before the owner draws.
#[derive(Clone, Copy, Debug)]
struct Asked {
    after_ms: u64,
    edge: usize,
    answer_ms: u64,
}

/// What the owner is to hear or an edge is to be told, by when.
enum Due {
    Draw {
        edge: usize,
        asked_at: u64,
        wanted: u32,
        back_ms: u64,
    },
    Tell {
        edge: usize,
        asked_at: u64,
        wanted: u32,
        grant: Grant,
    },
}

struct World {
    owner: Buckets<FakeRelativeClock>,
    clock: FakeRelativeClock,
    edges: Vec<Leases>,
    now_ms: u64,
    due: BTreeMap<(u64, usize), Due>,
    posted: usize,
    admitted: Vec<u64>,
    /// Requests that wait, as edge and the length of an answer.
    waiting: Vec<(usize, u64)>,
}

impl World {
    fn new() -> Self {
        let (owner, clock) = buckets(1_000);
        let rules = LeaseRules {
            ttl: TTL_MS * MS,
            patience: 250 * MS,
        };
        Self {
            owner,
            clock,
            edges: (0..EDGES).map(|_| Leases::new(1_000, rules)).collect(),
            now_ms: 0,
            due: BTreeMap::new(),
            posted: 0,
            admitted: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn post(&mut self, after_ms: u64, due: Due) {
        self.posted += 1;
        self.due.insert((self.now_ms + after_ms, self.posted), due);
    }

    fn pass(&mut self, to_ms: u64) {
        while let Some(next) = self.due.first_entry().filter(|next| next.key().0 <= to_ms) {
            let ((at, _), due) = next.remove_entry();
            self.turn_to(at);
            match due {
                Due::Draw {
                    edge,
                    asked_at,
                    wanted,
                    back_ms,
                } => {
                    let drawn = self.owner.draw_up_to(&key(1), wanted);
                    let grant = Grant {
                        tokens: drawn.tokens,
                        remaining: drawn.remaining,
                        wait_ns: u64::try_from(drawn.wait.as_nanos()).expect("a short time"),
                    };
                    self.post(
                        back_ms,
                        Due::Tell {
                            edge,
                            asked_at,
                            wanted,
                            grant,
                        },
                    );
                }
                Due::Tell {
                    edge,
                    asked_at,
                    wanted,
                    grant,
                } => {
                    self.edges[edge].granted(&key(1), asked_at, self.now_ms * MS, grant, wanted);
                    let (again, others) = self.waiting.iter().partition(|(at, _)| *at == edge);
                    self.waiting = others;
                    let again: Vec<(usize, u64)> = again;
                    for (edge, answer_ms) in again {
                        self.ask(edge, answer_ms);
                    }
                }
            }
        }
        self.turn_to(to_ms);
    }

    fn turn_to(&mut self, at_ms: u64) {
        self.clock.advance(Duration::from_millis(at_ms - self.now_ms));
        self.now_ms = at_ms;
    }

    fn ask(&mut self, edge: usize, answer_ms: u64) {
        let now = self.now_ms * MS;
        match self.edges[edge].step(&key(1), now, 2) {
            Step::Admit { .. } => self.admitted.push(self.now_ms),
            Step::Refuse { .. } => {}
            Step::Await => self.waiting.push((edge, answer_ms)),
            Step::Fetch { wanted } => {
                let back_ms = answer_ms / 2;
                let draw = Due::Draw {
                    edge,
                    asked_at: now,
                    wanted,
                    back_ms,
                };
                self.post(answer_ms - back_ms, draw);
                self.waiting.push((edge, answer_ms));
            }
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    (0_u64..60, 0..EDGES, 0_u64..400).prop_map(|(after_ms, edge, answer_ms)| Asked {
        after_ms,
        edge,
        answer_ms,
    })
}

proptest! {
    #[test]
    fn no_window_admits_more_than_burst_and_rate_over_its_length_and_a_leases(
        requests in proptest::collection::vec(asked(), 1..400),
    ) {
        let mut world = World::new();
        for request in requests {
            world.pass(world.now_ms + request.after_ms);
            world.ask(request.edge, request.answer_ms);
        }
        world.pass(world.now_ms + 1_000);
        for (first, from) in world.admitted.iter().enumerate() {
            for (count, at) in (1_u64..).zip(&world.admitted[first..]) {
                let most = u64::from(RATE.burst) + (at - from + TTL_MS) / 100;
                prop_assert!(count <= most, "{count} from {from} ms to {at} ms");
            }
        }
    }
}

#[test]
fn whoever_asks_three_times_too_much_gets_all_of_the_budget_and_no_more() {
    let mut world = World::new();
    let seconds = 20;
    // Each edge is asked as often as the whole budget allows.
    for n in 0..seconds * 1_000 / 100 {
        world.pass(n * 100);
        for edge in 0..EDGES {
            world.ask(edge, 2);
        }
    }
    world.pass(seconds * 1_000 + 10);
    let admitted = world.admitted.len();
    let (least, most) = (10 + 10 * 20 - 3 * 2, 10 + 10 * 20 + 5);
    assert!((least..=most).contains(&admitted), "{admitted} were admitted");
}
