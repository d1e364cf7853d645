//! `holdfast simulate`

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use holdfast_actors::simulation::simulate_many;
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal;

/// Run seeded histories of a simulated cluster, and look for broken promises.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many histories.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,
    /// The first seed; `--seeds 1 --from S` runs one history again.
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
}

impl Simulate {
    /// Fails at the first history that breaks a promise, and tells it step by step.
    pub fn run(self) -> ExitCode {
        let began = Instant::now();
        let style =
            ProgressStyle::with_template("{bar:40.cyan} {pos}/{len} histories, {per_sec}, {eta} left");
        // Hidden where nobody watches.
        let bar =
            ProgressBar::new(self.seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let end = self.from.saturating_add(self.seeds);
        let failure = simulate_many(self.from..end, || bar.inc(1));
        bar.finish_and_clear();
        if let Some(failure) = failure {
            terminal::say(&failure);
            terminal::say(format!(
                "again: holdfast simulate --seeds 1 --from {}",
                failure.seed
            ));
            return ExitCode::FAILURE;
        }
        let (took, seeds) = (began.elapsed(), self.seeds);
        let rate = f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / took.as_secs_f64() * 60.0;
        terminal::say(format!(
            "sound: {seeds} histories from seed {} kept every promise, {rate:.0} a minute",
            self.from
        ));
        ExitCode::SUCCESS
    }
}
