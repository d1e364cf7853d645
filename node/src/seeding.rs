//! Making up a shop that has been open for a year, part by part.

use anyhow::Context;
use holdfast_store::seed::{SeedSize, Seeding};
use indicatif::{ProgressBar, ProgressStyle};

/// Orders in one transaction.
const CHUNK: u64 = 10_000;

/// Fills the unused, migrated database at `url`, and shows how far it is.
///
/// # Errors
/// A part could not be made: the shop is not whole then.
pub async fn seed(url: &str, size: SeedSize) -> anyhow::Result<()> {
    let bar = progress(size.orders);
    let mut seeding = Seeding::begin(url, size)
        .await
        .context("cannot make products and customers")?;
    for first in (0..size.orders).step_by(usize::try_from(CHUNK)?) {
        let made = seeding.orders(first, first + CHUNK).await;
        made.with_context(|| format!("cannot make the orders from number {first} on"))?;
        bar.set_position((first + CHUNK).min(size.orders));
    }
    seeding
        .finish()
        .await
        .context("cannot bring the counters up to date")?;
    bar.finish_and_clear();
    Ok(())
}

fn progress(orders: u64) -> ProgressBar {
    let bar = ProgressBar::new(orders);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} orders {elapsed}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
