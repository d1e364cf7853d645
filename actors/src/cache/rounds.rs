//! Who waits for which read of one key: one read runs, everybody else waits for it or for the next.
//!
//! Without tasks, time or database, so that a property test can drive it. Whoever waits for the next
//! read is answered by one that begins after they came, which is what makes a read linearizable
//! although a hundred share it.

/// What a reader can be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// A read that runs already will do.
    Running,
    /// Only a read that begins from now on.
    Next,
}

/// The readers of one key, while a read runs.
#[derive(Debug)]
pub(super) struct Rounds<W> {
    /// Those whom the read that runs will answer.
    joined: Vec<W>,
    /// Those whom the one after it will.
    next: Vec<W>,
    /// Whether nothing has been said to be out of date since it began.
    is_current: bool,
}

/// A read that has ended.
#[derive(Debug)]
pub(super) struct Ended<W> {
    /// Whom to answer.
    pub(super) readers: Vec<W>,
    /// Whether what it found may be kept.
    pub(super) is_current: bool,
    /// Whether the next one runs from now on; if not, there is nobody left.
    pub(super) goes_on: bool,
}

impl<W> Rounds<W> {
    /// Begins with the first reader, whose read runs from now on.
    pub(super) fn begin(first: W) -> Self {
        Self {
            joined: vec![first],
            next: Vec::new(),
            is_current: true,
        }
    }

    /// Takes another reader. One who comes after what runs was outdated waits for the next read,
    /// whatever they demand.
    pub(super) fn join(&mut self, reader: W, demand: Demand) {
        if demand == Demand::Running && self.is_current {
            self.joined.push(reader);
        } else {
            self.next.push(reader);
        }
    }

    /// Notes that what the read that runs will find may be out of date.
    pub(super) fn outdate(&mut self) {
        self.is_current = false;
    }

    /// Counts those who wait.
    #[cfg(test)]
    pub(super) fn readers(&self) -> usize {
        self.joined.len() + self.next.len()
    }

    /// Ends the read that runs.
    pub(super) fn end(&mut self) -> Ended<W> {
        let next = std::mem::take(&mut self.next);
        let readers = std::mem::replace(&mut self.joined, next);
        Ended {
            readers,
            is_current: std::mem::replace(&mut self.is_current, true),
            goes_on: !self.joined.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Come(Demand),
        Outdate,
        End,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Come(Demand::Running)),
            3 => Just(Step::Come(Demand::Next)),
            1 => Just(Step::Outdate),
            2 => Just(Step::End),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// A reader, as the model knows them.
    #[derive(Clone, Copy, Debug)]
    struct Reader {
        came_at: usize,
        demand: Demand,
    }

    proptest! {
        #[test]
        fn everybody_is_answered_once_by_a_read_that_is_good_enough(steps in steps()) {
            let mut rounds: Option<Rounds<Reader>> = None;
            // When the read that runs began, and when it was first outdated.
            let (mut began_at, mut outdated_at) = (0, None);
            let (mut came, mut answered) = (0, 0);
            let mut end = |rounds: &mut Option<Rounds<Reader>>, began_at: &mut usize,
                           outdated_at: &mut Option<usize>, now: usize| {
                let Some(running) = rounds else { return Ok(()) };
                let ended = running.end();
                prop_assert_eq!(ended.is_current, outdated_at.is_none());
                prop_assert!(!ended.readers.is_empty());
                for reader in &ended.readers {
                    answered += 1;
                    // The read began after they came, or they were content with one that ran and
                    // was not outdated when they came.
                    let is_later = reader.came_at <= *began_at;
                    let was_current = outdated_at.is_none_or(|at| reader.came_at < at);
                    prop_assert!(is_later || (reader.demand == Demand::Running && was_current));
                }
                if !ended.goes_on {
                    *rounds = None;
                }
                (*began_at, *outdated_at) = (now, None);
                Ok(())
            };
            let count = steps.len();
            for (now, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Come(demand) => {
                        came += 1;
                        let reader = Reader { came_at: now, demand };
                        if let Some(rounds) = &mut rounds {
                            rounds.join(reader, demand);
                        } else {
                            rounds = Some(Rounds::begin(reader));
                            (began_at, outdated_at) = (now, None);
                        }
                    }
                    Step::Outdate => if let Some(rounds) = &mut rounds {
                        rounds.outdate();
                        outdated_at.get_or_insert(now);
                    },
                    Step::End => end(&mut rounds, &mut began_at, &mut outdated_at, now)?,
                }
            }
            // What runs and the one after it answer all who are left.
            end(&mut rounds, &mut began_at, &mut outdated_at, count)?;
            end(&mut rounds, &mut began_at, &mut outdated_at, count + 1)?;
            prop_assert!(rounds.is_none());
            prop_assert_eq!(answered, came);
        }
    }

    #[test]
    fn those_who_must_see_the_latest_wait_for_the_next_read_and_share_it() {
        let mut rounds = Rounds::begin(1);
        rounds.join(2, Demand::Next);
        rounds.join(3, Demand::Next);
        let first = rounds.end();
        assert_eq!((first.readers, first.goes_on), (vec![1], true));
        rounds.join(4, Demand::Next);
        let second = rounds.end();
        assert_eq!((second.readers, second.goes_on), (vec![2, 3], true));
        let third = rounds.end();
        assert_eq!((third.readers, third.goes_on), (vec![4], false));
    }

    #[test]
    fn nobody_joins_a_read_that_is_out_of_date() {
        let mut rounds = Rounds::begin(1);
        rounds.join(2, Demand::Running);
        rounds.outdate();
        rounds.join(3, Demand::Running);
        let first = rounds.end();
        assert_eq!((first.readers, first.is_current), (vec![1, 2], false));
        let second = rounds.end();
        assert_eq!((second.readers, second.is_current), (vec![3], true));
    }
}
