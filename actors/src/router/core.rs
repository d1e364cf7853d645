//! The pursuit of one request: what to do after each attempt, until somebody answers or the budget is
//! spent.
//!
//! No clock, no randomness and no link of its own: time comes in as a duration since the pursuit began,
//! jitter as a number, and how an attempt ended as an [`Event`]. What is next comes out as a [`Step`].
//!
//! *Invariant*: a pursuit ends. Between two pauses it goes on at once [`HOPS_MAX`] times at most, a
//! pause ends early only if the shard has got another owner, and no attempt begins after the budget.

use std::time::Duration;

use holdfast_domain::NodeId;

/// Owners that a request may be sent on to before it pauses.
const HOPS_MAX: u8 = 3;

/// Pauses between attempts; the last one repeats.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
];

/// How an attempt ended that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody else owns the shard: who, and since which epoch, as far as the one asked knows.
    Moved(Option<Hint>),
    /// Nobody answers for the shard right now, and why.
    Nobody(&'static str),
    /// Asking again would make it worse.
    Overloaded,
    /// The budget was spent while somebody was asked.
    TimedOut,
}

/// Who owns a shard, as somebody said who gave it away or lost it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The owner.
    pub(crate) owner: NodeId,
    /// The epoch that began with it: of two hints the later one is true.
    pub(crate) epoch: i64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask again at once: whoever the hint names, if it knows more than the map.
    Ask(Option<Hint>),
    /// Ask again at this time since the beginning, or as soon as the shard has another owner.
    Pause(Duration),
    /// Say that nobody answers, and why.
    GiveUp(&'static str),
}

/// The pursuit of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pursuit {
    budget: Duration,
    hops: u8,
    pauses: usize,
}

impl Pursuit {
    /// Begins; `budget` is for all attempts and pauses together.
    pub(crate) const fn new(budget: Duration) -> Self {
        Self {
            budget,
            hops: 0,
            pauses: 0,
        }
    }

    /// Counts the owners that the request was sent on to since it last paused.
    pub(crate) const fn hops(&self) -> u8 {
        self.hops
    }

    /// Takes how an attempt ended, at `now` since the beginning. `jitter` is drawn from `0.0..1.0`.
    pub(crate) fn on(&mut self, now: Duration, event: Event, jitter: f64) -> Step {
        let reason = match event {
            Event::TimedOut => return Step::GiveUp("the budget was spent on one attempt"),
            Event::Overloaded => return Step::GiveUp("overloaded"),
            Event::Moved(hint) if self.hops < HOPS_MAX && now < self.budget => {
                self.hops += 1;
                return Step::Ask(hint);
            }
            Event::Moved(_) => "the shard keeps moving",
            Event::Nobody(reason) => reason,
        };
        // From half of the pause to one and a half of it.
        let pause = PAUSES[self.pauses.min(PAUSES.len() - 1)].mul_f64(0.5 + jitter);
        let resume_at = now + pause;
        if resume_at >= self.budget {
            return Step::GiveUp(reason);
        }
        self.hops = 0;
        self.pauses += 1;
        Step::Pause(resume_at)
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Timestamp;

    use super::*;

    const BUDGET: Duration = Duration::from_secs(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn hint() -> Hint {
        Hint {
            owner: NodeId::mint(Timestamp::UNIX_EPOCH, [1; 10]),
            epoch: 2,
        }
    }

    #[test]
    fn a_request_follows_a_shard_that_moved_without_a_pause() {
        let mut pursuit = Pursuit::new(BUDGET);
        let step = pursuit.on(ms(5), Event::Moved(Some(hint())), 0.5);
        assert_eq!(step, Step::Ask(Some(hint())));
        assert_eq!(pursuit.hops(), 1);
    }

    #[test]
    fn a_shard_that_keeps_moving_is_followed_three_times_between_pauses() {
        let mut pursuit = Pursuit::new(BUDGET);
        for _ in 0..2 {
            for _ in 0..HOPS_MAX {
                assert_eq!(pursuit.on(ms(0), Event::Moved(None), 0.5), Step::Ask(None));
            }
            assert!(matches!(
                pursuit.on(ms(0), Event::Moved(None), 0.5),
                Step::Pause(_)
            ));
        }
    }

    #[test]
    fn pauses_grow_and_spread() {
        let mut pursuit = Pursuit::new(BUDGET);
        let mut pause = |jitter| pursuit.on(ms(100), Event::Nobody("gone"), jitter);
        assert_eq!(pause(0.5), Step::Pause(ms(110)));
        assert_eq!(pause(0.5), Step::Pause(ms(140)));
        assert_eq!(pause(0.0), Step::Pause(ms(180)));
        assert_eq!(pause(0.5), Step::Pause(ms(260)));
    }

    #[test]
    fn a_pursuit_ends_within_its_budget_and_says_what_was_in_the_way() {
        let mut pursuit = Pursuit::new(BUDGET);
        let mut now = Duration::ZERO;
        let reason = loop {
            match pursuit.on(now, Event::Nobody("nobody is there"), 0.0) {
                Step::Pause(resume_at) => {
                    assert!(now < resume_at && resume_at < BUDGET);
                    now = resume_at;
                }
                Step::Ask(_) => panic!("nothing has moved"),
                Step::GiveUp(reason) => break reason,
            }
        };
        assert_eq!(reason, "nobody is there");
        let late = pursuit.on(BUDGET, Event::Moved(None), 0.0);
        assert_eq!(late, Step::GiveUp("the shard keeps moving"));
    }

    #[test]
    fn overload_is_passed_on_at_once() {
        let mut pursuit = Pursuit::new(BUDGET);
        assert_eq!(
            pursuit.on(ms(0), Event::Overloaded, 0.5),
            Step::GiveUp("overloaded")
        );
    }
}
