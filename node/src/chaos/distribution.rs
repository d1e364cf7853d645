//! Durations, summed up.

use std::time::Duration;

/// Durations of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    sorted: Vec<Duration>,
}

impl Distribution {
    pub(super) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self { sorted: durations }
    }

    /// The nearest-rank percentile; nothing if there is nothing.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied()
    }

    /// Lays the distribution out as a table's row.
    pub(super) fn row(&self, name: &str) -> [String; 6] {
        let at = |percent| {
            self.percentile(percent)
                .map_or_else(|| "-".to_owned(), milliseconds)
        };
        [
            name.to_owned(),
            self.sorted.len().to_string(),
            at(50),
            at(90),
            at(99),
            at(100),
        ]
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Distribution;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all = Distribution::of((1..=10).rev().map(Duration::from_millis).collect());
        assert_eq!(all.percentile(50), Some(Duration::from_millis(5)));
        assert_eq!(all.percentile(99), Some(Duration::from_millis(10)));
        assert_eq!(all.percentile(100), Some(Duration::from_millis(10)));
        assert_eq!(Distribution::default().percentile(50), None);
    }
}
