//! The pause between two turns: what one contender has put off until it is not
//! asked any more, such as telling of events, is not to burden the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::meter::{Part, Processes};

/// How long everybody is watched.
const WATCHED: Duration = Duration::from_millis(500);
/// The share of one core that nodes and databases use when nobody asks them.
const IDLE_SHARE: f64 = 0.25;
/// How long the wait may take.
const WITHIN: Duration = Duration::from_mins(1);

/// Waits until nodes and databases have nothing left to do; `false`: they still
/// have.
pub(super) async fn comes(everybody: &Processes) -> bool {
    let end = Instant::now() + WITHIN;
    while Instant::now() < end {
        let before = everybody.spent();
        sleep(WATCHED).await;
        if is_quiet(&everybody.spent().since(&before)) {
            return true;
        }
    }
    false
}

/// Tells whether so much processor time, in microseconds, is what nobody's work
/// takes.
fn is_quiet(spent_us: &BTreeMap<Part, u64>) -> bool {
    let of_others = spent_us.iter().filter(|(part, _)| **part != Part::Generator);
    let spent = Duration::from_micros(of_others.map(|(_, spent_us)| spent_us).sum());
    spent <= WATCHED.mul_f64(IDLE_SHARE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Part, is_quiet};

    #[test]
    fn nodes_and_database_are_quiet_together_whatever_the_generator_does() {
        for (server_ms, postgres_ms, quiet) in
            [(0, 0, true), (60, 60, true), (60, 70, false), (0, 500, false)]
        {
            let spent = BTreeMap::from([
                (Part::Server, server_ms * 1_000),
                (Part::Postgres, postgres_ms * 1_000),
                (Part::Generator, 900_000),
            ]);
            assert_eq!(is_quiet(&spent), quiet, "{spent:?}");
        }
    }
}
