//! The page: one file, without scripts and without the network.

use std::fmt::Write;

use plotters::style::RGBColor;

use super::facts::Facts;
use super::figures::{Failures, Figures, milliseconds};
use super::plots::{self, Plot};
use crate::chaos::check::{Evidence, Verdict};
use crate::chaos::history::Reply;

const STYLE: &str = include_str!("page.css");

/// Lays the page out.
pub(super) fn render(facts: &Facts, evidence: &Evidence, verdicts: &[Verdict]) -> anyhow::Result<String> {
    let figures = Figures::of(evidence);
    let faults = &evidence.inflictions;
    let broken = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    let (class, headline) = if broken == 0 {
        ("kept", format!("All {} promises were kept", verdicts.len()))
    } else {
        (
            "broken",
            format!("{broken} of {} promises were broken", verdicts.len()),
        )
    };
    let parts = [
        section("Promises", "", &verdict_table(verdicts)),
        section(
            "Throughput",
            "Faults are shaded, and more lightly the time until every node served again. Their numbers lead to the \
             table of faults.",
            &figure(&plots::throughput(&figures, faults)?),
        ),
        section("Latency", "", &figure(&plots::latency(&figures, faults)?)),
        section(
            "Recovery",
            "A dot for each fault.",
            &format!(
                "{}{}",
                figure(&plots::recovery(&figures)?),
                recovery_table(&figures)
            ),
        ),
        section("Faults", "", &fault_table(evidence)),
        section(
            "Errors",
            "Requests that failed. Clients tried again, under the same key.",
            &error_table(facts, &figures),
        ),
        section("Operations", "All attempts included.", &operation_table(&figures)),
        section(
            "Run",
            "The seed fixes what is drawn: operations, faults, victims, durations. When they strike depends on the \
             machine.",
            &run_table(facts),
        ),
    ];
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Holdfast chaos: {headline}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header class=\"{class}\">\n<p class=\"kicker\">Holdfast chaos</p>\n<h1>{headline}</h1>\n<p>{}</p>\n\
         <pre>{}</pre>\n</header>\n<main>\n{}</main>\n</body>\n</html>\n",
        summary(facts, &figures, evidence),
        escape(&facts.command),
        parts.concat()
    ))
}

fn summary(facts: &Facts, figures: &Figures, evidence: &Evidence) -> String {
    format!(
        "{} operations at {} nodes in {} s, {} faults; {} operations without an answer that their client could be \
         sure of.",
        figures.operations,
        facts.names.len(),
        facts.seconds,
        evidence.inflictions.len(),
        figures.unknown
    )
}

fn section(title: &str, lead: &str, content: &str) -> String {
    let lead = if lead.is_empty() {
        String::new()
    } else {
        format!("<p class=\"lead\">{lead}</p>\n")
    };
    format!("<section>\n<h2>{title}</h2>\n{lead}{content}</section>\n")
}

fn figure(plot: &Plot) -> String {
    let mut key = String::new();
    for (RGBColor(red, green, blue), meaning) in &plot.key {
        // Writing to a string does not fail.
        let _ = write!(
            key,
            "<li><i style=\"background: rgb({red} {green} {blue})\"></i>{meaning}</li>"
        );
    }
    format!("<ul class=\"key\">{key}</ul>\n{}", plot.svg)
}

/// Lays out a table; cells are HTML.
fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut html = "<table>\n<thead><tr>".to_owned();
    for name in header {
        // Writing to a string does not fail.
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    let mut is_empty = true;
    for row in rows {
        is_empty = false;
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    if is_empty {
        let _ = writeln!(
            html,
            "<tr><td colspan=\"{COLUMNS}\" class=\"none\">none</td></tr>"
        );
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

fn verdict_table(verdicts: &[Verdict]) -> String {
    let rows = verdicts.iter().map(|verdict| {
        let mark = if verdict.holds() {
            "<span class=\"mark kept\">kept</span>".to_owned()
        } else {
            format!("<span class=\"mark broken\">{} broken</span>", verdict.breaches)
        };
        let mut statement = escape(verdict.statement);
        for breach in &verdict.told {
            let _ = write!(statement, "<div class=\"breach\">{}</div>", escape(breach));
        }
        [
            mark,
            format!("<b>{}</b>", escape(verdict.invariant)),
            statement,
            escape(&verdict.figure),
        ]
    });
    table(["verdict", "promise", "what must hold", "looked at"], rows)
}

fn recovery_table(figures: &Figures) -> String {
    let rows = figures.recoveries.iter().map(|recovery| {
        [
            recovery.kind.to_string(),
            recovery.back.len().to_string(),
            milliseconds(recovery.back.percentile(50)),
            milliseconds(recovery.back.percentile(100)),
            milliseconds(recovery.gap.percentile(50)),
            milliseconds(recovery.gap.percentile(100)),
        ]
    });
    table(
        [
            "fault",
            "times",
            "served again, median",
            "served again, worst",
            "without a write, median",
            "without a write, worst",
        ],
        rows,
    )
}

fn fault_table(evidence: &Evidence) -> String {
    let seconds = |time: std::time::Duration| format!("{:.2} s", time.as_secs_f64());
    let rows = evidence.inflictions.iter().zip(1_u32..).map(|(fault, number)| {
        let failures = Failures::during(fault, &evidence.history);
        [
            number.to_string(),
            fault.kind.to_string(),
            escape(&fault.detail),
            seconds(fault.began),
            seconds(fault.ended),
            milliseconds(Some(fault.recovered.saturating_sub(fault.ended))),
            failures.at_victims.to_string(),
            failures.elsewhere.to_string(),
        ]
    });
    table(
        [
            "",
            "fault",
            "whom and how",
            "began",
            "ended",
            "served again after",
            "failed at its nodes",
            "failed elsewhere",
        ],
        rows,
    )
}

fn error_table(facts: &Facts, figures: &Figures) -> String {
    let rows = figures.errors.iter().map(|error| {
        let what = match error.reply {
            Reply::Status(status) => format!("status {status}"),
            Reply::Broken => "no connection, or it broke".to_owned(),
            Reply::TimedOut => "no answer in time".to_owned(),
        };
        let name = facts.names.get(error.node).map_or("?", String::as_str);
        [
            escape(name),
            what,
            error.count.to_string(),
            error.in_calm.to_string(),
        ]
    });
    table(["node", "error", "count", "while no fault was on"], rows)
}

fn operation_table(figures: &Figures) -> String {
    let rows = figures.latencies.iter().map(|(kind, latencies)| {
        [
            (*kind).to_owned(),
            latencies.len().to_string(),
            milliseconds(latencies.percentile(50)),
            milliseconds(latencies.percentile(90)),
            milliseconds(latencies.percentile(99)),
            milliseconds(latencies.percentile(100)),
        ]
    });
    table(["operation", "answered", "p50", "p90", "p99", "max"], rows)
}

fn run_table(facts: &Facts) -> String {
    let rows = facts
        .rows
        .iter()
        .map(|(name, value)| [format!("<b>{name}</b>"), escape(value)]);
    table(["", ""], rows)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{escape, table};

    #[test]
    fn what_is_told_cannot_become_markup() {
        assert_eq!(escape("<b> & co"), "&lt;b&gt; &amp; co");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let empty = table(["a", "b"], []);
        assert!(
            empty.contains("colspan=\"2\"") && empty.contains("none"),
            "{empty}"
        );
    }
}
