//! The plots, as SVG, each with the key to its colours.

use std::ops::Range;
use std::time::Duration;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::{Figures, Second};
use crate::chaos::faults::Infliction;

const WIDTH: u32 = 1_080;
const HEIGHT: u32 = 300;
const FONT: &str = "system-ui, sans-serif";

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(148, 163, 184);
const GRID: RGBColor = RGBColor(236, 239, 244);
const ANSWERED: RGBColor = RGBColor(14, 116, 144);
const FAILED: RGBColor = RGBColor(190, 18, 60);
const FAULT: RGBColor = RGBColor(217, 119, 6);
const MEDIAN: RGBColor = RGBColor(14, 116, 144);
const TAIL: RGBColor = RGBColor(124, 58, 237);
const WORST: RGBColor = RGBColor(190, 18, 60);

/// The lowest latency that is told from another.
const LATENCY_FLOOR_MS: f64 = 1.0;
/// The shortest recovery that is told from another.
const RECOVERY_FLOOR_MS: f64 = 10.0;

/// A plot, and what its colours mean.
pub(super) struct Plot {
    pub(super) svg: String,
    pub(super) key: Vec<(RGBColor, &'static str)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Answers and failures a second, with the faults marked.
pub(super) fn throughput(figures: &Figures, faults: &[Infliction]) -> anyhow::Result<Plot> {
    let points = |count: fn(&Second) -> u32| -> Vec<(f64, f64)> {
        let seconds = figures.seconds.iter().enumerate();
        seconds
            .map(|(second, values)| (middle(second), f64::from(count(values))))
            .collect()
    };
    let answered = points(|second| second.answered);
    let failed = points(|second| second.failed);
    let counts = answered.iter().chain(&failed).map(|(_, count)| *count);
    let most = counts.fold(1.0, f64::max) * 1.15;
    let key = vec![
        (ANSWERED, "operations answered"),
        (FAILED, "requests that failed and were tried again"),
        (FAULT, "faults, and the recovery from them"),
    ];
    draw(HEIGHT, key, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(22)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end(figures), 0.0..most)?;
        mark_faults(area, &mut chart, faults, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc("seconds")
            .y_desc("a second")
            .y_label_formatter(&|count| format!("{count:.0}"))
            .x_label_formatter(&|second| format!("{second:.0}"))
            .draw()?;
        chart.draw_series(AreaSeries::new(answered.clone(), 0.0, ANSWERED.mix(0.14)))?;
        chart.draw_series(LineSeries::new(answered.clone(), ANSWERED.stroke_width(2)))?;
        let failures = failed.iter().filter(|(_, count)| *count > 0.0);
        chart.draw_series(failures.map(|(second, count)| {
            Rectangle::new([(second - 0.3, 0.0), (second + 0.3, *count)], FAILED.filled())
        }))?;
        Ok(())
    })
}

/// Latencies of the operations that were answered, second by second.
pub(super) fn latency(figures: &Figures, faults: &[Infliction]) -> anyhow::Result<Plot> {
    let points = |percent: usize| -> Vec<(f64, f64)> {
        let seconds = figures.seconds.iter().enumerate();
        seconds
            .filter_map(|(second, values)| {
                let latency = values.latencies.percentile(percent)?;
                Some((middle(second), milliseconds(latency).max(LATENCY_FLOOR_MS)))
            })
            .collect()
    };
    let (median, tail, worst) = (points(50), points(99), points(100));
    let most = worst.iter().map(|(_, ms)| *ms).fold(10.0, f64::max) * 1.6;
    let key = vec![
        (MEDIAN, "median"),
        (TAIL, "99th percentile"),
        (WORST, "worst"),
        (FAULT, "faults, and the recovery from them"),
    ];
    draw(HEIGHT, key, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(22)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end(figures), (LATENCY_FLOOR_MS..most).log_scale())?;
        mark_faults(area, &mut chart, faults, LATENCY_FLOOR_MS..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc("seconds")
            .y_desc("latency, retries included")
            .y_label_formatter(&|ms| spoken(*ms))
            .x_label_formatter(&|second| format!("{second:.0}"))
            .draw()?;
        for (points, colour) in [(&tail, TAIL), (&median, MEDIAN)] {
            for run in unbroken(points) {
                chart.draw_series(LineSeries::new(run.iter().copied(), colour.stroke_width(2)))?;
            }
        }
        chart.draw_series(worst.iter().map(|point| Circle::new(*point, 3, WORST.filled())))?;
        Ok(())
    })
}

/// How long it took to come back, a dot for each fault.
pub(super) fn recovery(figures: &Figures) -> anyhow::Result<Plot> {
    let kinds: Vec<&str> = figures.recoveries.iter().map(|of| of.kind.name()).collect();
    let count = u32::try_from(kinds.len()).unwrap_or(u32::MAX).max(1);
    let rows = f64::from(count);
    let dots = |gaps: bool| {
        figures.recoveries.iter().zip(0_u32..).flat_map(move |(of, row)| {
            let (durations, offset) = if gaps { (&of.gap, 0.3) } else { (&of.back, 0.7) };
            let y = rows - 1.0 - f64::from(row) + offset;
            let values = durations.values().iter().copied();
            values.map(move |duration| (milliseconds(duration).max(RECOVERY_FLOOR_MS), y))
        })
    };
    let longest = dots(false).chain(dots(true)).map(|(ms, _)| ms);
    let most = longest.fold(1_000.0, f64::max) * 1.6;
    let key = vec![
        (ANSWERED, "from the fault's end until every node served again"),
        (FAULT, "longest time without an acknowledged write"),
    ];
    draw(64 + 34 * count, key, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(110)
            .build_cartesian_2d((RECOVERY_FLOOR_MS..most).log_scale(), 0.0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc("on a logarithmic scale")
            .x_label_formatter(&|ms| spoken(*ms))
            .draw()?;
        for (kind, row) in kinds.iter().zip(0_u32..) {
            let bottom = rows - 1.0 - f64::from(row);
            let line = [(RECOVERY_FLOOR_MS, bottom), (most, bottom)];
            chart.draw_series([PathElement::new(line, GRID)])?;
            let (x, y) = chart.backend_coord(&(RECOVERY_FLOOR_MS, bottom + 0.5));
            let style = (FONT, 13).into_font().color(&INK);
            let style = style.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new((*kind).to_owned(), (x - 10, y), style))?;
        }
        for (gaps, colour) in [(false, ANSWERED), (true, FAULT)] {
            let colour = colour.mix(0.7).filled();
            chart.draw_series(dots(gaps).map(|dot| Circle::new(dot, 5, colour)))?;
        }
        Ok(())
    })
}

/// Splits points where a second is missing: nothing was answered in it.
fn unbroken(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    points.chunk_by(|(second, _), (next, _)| next - second < 1.5)
}

fn middle(second: usize) -> f64 {
    f64::from(u32::try_from(second).unwrap_or(u32::MAX)) + 0.5
}

fn end(figures: &Figures) -> f64 {
    middle(figures.seconds.len().max(1)) - 0.5
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Writes milliseconds as people say them.
fn spoken(ms: f64) -> String {
    if ms >= 1_000.0 {
        format!("{} s", ms / 1_000.0)
    } else {
        format!("{ms} ms")
    }
}

/// Shades the time of each fault, and more lightly that of its recovery, below
/// its number.
fn mark_faults<'a, X, Y>(
    area: &Area<'a>,
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    faults: &[Infliction],
    height: Range<f64>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let Range {
        start: bottom,
        end: top,
    } = height;
    for (fault, number) in faults.iter().zip(1_u32..) {
        let began = fault.began.as_secs_f64();
        let ended = fault.ended.as_secs_f64().max(began + 0.05);
        let recovered = fault.recovered.as_secs_f64();
        chart.draw_series([
            Rectangle::new([(began, bottom), (recovered, top)], FAULT.mix(0.10).filled()),
            Rectangle::new([(began, bottom), (ended, top)], FAULT.mix(0.16).filled()),
        ])?;
        let (x, y) = chart.backend_coord(&(began, top));
        let style = (FONT, 12).into_font().color(&FAULT);
        area.draw(&Text::new(number.to_string(), (x, y - 15), style))?;
    }
    Ok(())
}

/// Draws a plot on a canvas of its own.
fn draw(
    height: u32,
    key: Vec<(RGBColor, &'static str)>,
    plot: impl FnOnce(&Area<'_>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> anyhow::Result<Plot> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        plot(&area)
            .and_then(|()| area.present())
            .map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    Ok(Plot { svg, key })
}

#[cfg(test)]
mod tests {
    use super::{spoken, unbroken};

    #[test]
    fn a_line_ends_where_nothing_was_answered() {
        let points = [(0.5, 1.0), (1.5, 1.0), (4.5, 1.0), (5.5, 1.0)];
        let runs: Vec<usize> = unbroken(&points).map(<[_]>::len).collect();
        assert_eq!(runs, [2, 2]);
    }

    #[test]
    fn durations_are_told_in_the_unit_that_people_use() {
        assert_eq!(spoken(100.0), "100 ms");
        assert_eq!(spoken(10_000.0), "10 s");
    }
}
