//! The plots, as SVG.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::Figures;
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

/// The lowest latency and recovery that is told from another.
const FLOOR_MS: f64 = 1.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Answers and failures a second, with the faults marked.
pub(super) fn throughput(figures: &Figures, faults: &[Infliction]) -> anyhow::Result<String> {
    let points = |count: fn(&super::figures::Second) -> u32| -> Vec<(f64, f64)> {
        let seconds = figures.seconds.iter().enumerate();
        seconds
            .map(|(second, values)| (middle(second), f64::from(count(values))))
            .collect()
    };
    let answered = points(|second| second.answered);
    let failed = points(|second| second.failed);
    let most = answered
        .iter()
        .chain(&failed)
        .map(|(_, count)| *count)
        .fold(1.0, f64::max);
    draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(22)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end(figures), 0.0..most * 1.15)?;
        mark_faults(&mut chart, faults, most * 1.15)?;
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
        chart
            .draw_series(LineSeries::new(answered.clone(), ANSWERED.stroke_width(2)))?
            .label("answered")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], ANSWERED.stroke_width(2)));
        chart
            .draw_series(
                failed
                    .iter()
                    .filter(|(_, count)| *count > 0.0)
                    .map(|(second, count)| {
                        Rectangle::new(
                            [(second - 0.3, 0.0), (second + 0.3, *count)],
                            FAILED.mix(0.8).filled(),
                        )
                    }),
            )?
            .label("requests that failed and were tried again")
            .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 16, y + 4)], FAILED.mix(0.8).filled()));
        legend(&mut chart)
    })
}

/// Latencies of the operations that were answered, second by second.
pub(super) fn latency(figures: &Figures, faults: &[Infliction]) -> anyhow::Result<String> {
    let points = |percent: usize| -> Vec<(f64, f64)> {
        let seconds = figures.seconds.iter().enumerate();
        seconds
            .filter_map(|(second, values)| {
                let latency = values.latencies.percentile(percent)?;
                Some((middle(second), latency.as_secs_f64() * 1_000.0))
            })
            .collect()
    };
    let lines = [
        ("max", points(100), WORST),
        ("p99", points(99), TAIL),
        ("p50", points(50), MEDIAN),
    ];
    let most = lines[0].1.iter().map(|(_, ms)| *ms).fold(10.0, f64::max) * 1.6;
    draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(22)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end(figures), (FLOOR_MS..most).log_scale())?;
        mark_faults(&mut chart, faults, most)?;
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
        for (name, points, colour) in lines {
            let points = points.into_iter().map(|(second, ms)| (second, ms.max(FLOOR_MS)));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        legend(&mut chart)
    })
}

/// How long it took to come back, a dot for each fault.
pub(super) fn recovery(figures: &Figures) -> anyhow::Result<String> {
    let kinds: Vec<&str> = figures.recoveries.iter().map(|of| of.kind.name()).collect();
    let rows = f64::from(u32::try_from(kinds.len()).unwrap_or(1).max(1));
    let ms = |duration: &std::time::Duration| (duration.as_secs_f64() * 1_000.0).max(FLOOR_MS);
    let durations = |gaps: bool| {
        figures.recoveries.iter().zip(0_u32..).flat_map(move |(of, row)| {
            let (values, offset) = if gaps { (&of.gap, 0.33) } else { (&of.back, 0.67) };
            values
                .values()
                .iter()
                .map(move |duration| (ms(duration), rows - 1.0 - f64::from(row) + offset))
        })
    };
    let most = durations(false)
        .chain(durations(true))
        .map(|(ms, _)| ms)
        .fold(1_000.0, f64::max);
    let height = 80 + 30 * u32::try_from(kinds.len()).unwrap_or(1);
    draw(height, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(28)
            .x_label_area_size(34)
            .y_label_area_size(110)
            .build_cartesian_2d((FLOOR_MS..most * 1.6).log_scale(), 0.0..rows)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .disable_y_mesh()
            .y_labels(0)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc("time, on a logarithmic scale")
            .x_label_formatter(&|ms| spoken(*ms))
            .draw()?;
        for (kind, row) in kinds.iter().zip(0_u32..) {
            let bottom = rows - 1.0 - f64::from(row);
            chart.draw_series([PathElement::new(
                [(FLOOR_MS, bottom), (most * 1.6, bottom)],
                GRID.stroke_width(1),
            )])?;
            let (x, y) = chart.backend_coord(&(FLOOR_MS, bottom + 0.5));
            let style = (FONT, 13)
                .into_font()
                .color(&INK)
                .pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Right,
                    plotters::style::text_anchor::VPos::Center,
                ));
            area.draw(&Text::new((*kind).to_owned(), (x - 10, y), style))?;
        }
        chart
            .draw_series(durations(false).map(|at| Circle::new(at, 5, ANSWERED.mix(0.65).filled())))?
            .label("from the fault's end until every node served again")
            .legend(|(x, y)| Circle::new((x + 8, y), 5, ANSWERED.mix(0.65).filled()));
        chart
            .draw_series(durations(true).map(|at| Circle::new(at, 5, FAULT.mix(0.65).filled())))?
            .label("longest time without an acknowledged write")
            .legend(|(x, y)| Circle::new((x + 8, y), 5, FAULT.mix(0.65).filled()));
        legend(&mut chart)
    })
}

fn middle(second: usize) -> f64 {
    f64::from(u32::try_from(second).unwrap_or(u32::MAX)) + 0.5
}

fn end(figures: &Figures) -> f64 {
    middle(figures.seconds.len().max(1)) - 0.5
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
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    faults: &[Infliction],
    top: f64,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let bottom = 0.0;
    for (fault, number) in faults.iter().zip(1_u32..) {
        let began = fault.began.as_secs_f64();
        let ended = fault.ended.as_secs_f64();
        let recovered = fault.recovered.as_secs_f64();
        chart.draw_series([
            Rectangle::new([(began, bottom), (recovered, top)], FAULT.mix(0.10).filled()),
            Rectangle::new(
                [(began, bottom), (ended.max(began + 0.05), top)],
                FAULT.mix(0.22).filled(),
            ),
        ])?;
        let (x, y) = chart.backend_coord(&(began, top));
        let style = (FONT, 12).into_font().color(&FAULT);
        chart
            .plotting_area()
            .strip_coord_spec()
            .draw(&Text::new(number.to_string(), (x, y - 15), style))?;
    }
    Ok(())
}

fn legend<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(TRANSPARENT)
        .label_font((FONT, 12).into_font().color(&INK))
        .draw()
}

/// Draws a plot on a canvas of its own.
fn draw(
    height: u32,
    plot: impl FnOnce(&Area<'_>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        plot(&area)
            .and_then(|()| area.present())
            .map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    Ok(svg)
}
