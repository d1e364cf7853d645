//! Latency against rate, as SVG: how far a contender can be pushed before its
//! answers come late.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::prelude::*;

use super::report::{Measurement, Values};

const SIZE: (u32, u32) = (960, 480);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(14, 116, 144),
    RGBColor(124, 58, 237),
    RGBColor(190, 18, 60),
    RGBColor(217, 119, 6),
    RGBColor(71, 85, 105),
];
/// Latencies are drawn from here up, in milliseconds.
const FLOOR_MS: f64 = 0.5;

/// One contender at one kind of work: rates offered, and what answers took.
struct Curve {
    name: String,
    /// By rate: the median of the rounds' medians, and of their 99th percentiles.
    points: Vec<(f64, f64, f64)>,
}

/// Draws what was measured under an open load; the line is the median, the
/// dashes are the 99th percentile.
pub(super) fn draw(path: &Path, measurements: &[Measurement]) -> anyhow::Result<()> {
    let curves = curves(measurements);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let fastest = points().map(|(rate, ..)| *rate).fold(1.0, f64::max);
    let slowest_ms = points().map(|(.., p99)| *p99).fold(10.0, f64::max) * 1.5;
    let svg = SVGBackend::new(path, SIZE).into_drawing_area();
    let drawing = || -> Result<(), DrawingAreaErrorKind<_>> {
        svg.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&svg)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..fastest * 1.02, (FLOOR_MS..slowest_ms).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("offered, a second")
            .y_desc("answered after, ms")
            .label_style((FONT, 13))
            .draw()?;
        for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let line = |value: fn(&(f64, f64, f64)) -> f64| {
                curve
                    .points
                    .iter()
                    .map(move |point| (point.0, value(point).max(FLOOR_MS)))
            };
            let solid = LineSeries::new(line(|point| point.1), colour.stroke_width(2)).point_size(3);
            let key = *colour;
            chart
                .draw_series(solid)?
                .label(curve.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], key.stroke_width(2)));
            chart.draw_series(DashedLineSeries::new(
                line(|point| point.2),
                6,
                4,
                colour.stroke_width(1),
            ))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font((FONT, 13))
            .draw()?;
        svg.present()
    };
    drawing()
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("cannot draw {}", path.display()))
}

fn curves(measurements: &[Measurement]) -> Vec<Curve> {
    let mut curves: BTreeMap<String, BTreeMap<u32, Vec<&Measurement>>> = BTreeMap::new();
    for one in measurements {
        let mut cell = one.cell;
        if let Some(rate) = cell.offered.take() {
            let name = format!("{}: {cell}", one.contender);
            curves.entry(name).or_default().entry(rate).or_default().push(one);
        }
    }
    let median = |of_rate: &[&Measurement], value: fn(&Measurement) -> f64| {
        let values = of_rate.iter().map(|one| value(one));
        Values::of(values).median().unwrap_or_default()
    };
    let point = |(rate, of_rate): (u32, Vec<&Measurement>)| {
        let (p50, p99) = (
            median(&of_rate, |one| one.p50_ms),
            median(&of_rate, |one| one.p99_ms),
        );
        (f64::from(rate), p50, p99)
    };
    let curve = |(name, by_rate): (String, BTreeMap<_, _>)| Curve {
        name,
        points: by_rate.into_iter().map(point).collect(),
    };
    curves.into_iter().map(curve).collect()
}
