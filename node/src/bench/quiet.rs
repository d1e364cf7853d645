//! The pause between two turns: what one contender has put off until it is not
//! asked any more, such as telling of events, is not to burden the next one.

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
        let spent_us: u64 = everybody
            .spent()
            .since(&before)
            .into_iter()
            .filter(|(part, _)| *part != Part::Generator)
            .map(|(_, spent_us)| spent_us)
            .sum();
        if Duration::from_micros(spent_us) <= WATCHED.mul_f64(IDLE_SHARE) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Processes, comes};

    #[tokio::test]
    async fn those_who_do_nothing_are_quiet() {
        assert!(comes(&Processes::default()).await);
    }
}
