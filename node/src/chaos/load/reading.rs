//! What an answer means to the history.

use serde_json::Value;
use uuid::Uuid;

use super::stage::Stage;
use crate::chaos::history::{Action, Level, Outcome, Row, Shown};
use crate::shop::Answer;

/// Reads the answer to `action`; without one, nobody knows.
pub(super) fn outcome(stage: &Stage, action: &Action, answer: Option<&Answer>) -> Outcome {
    let Some(answer) = answer else {
        return Outcome::Unknown;
    };
    if answer.status.is_success() {
        return Outcome::Done(shown(action, &answer.body));
    }
    let problem = answer.text("type").unwrap_or_default();
    Outcome::Refused {
        status: answer.status.as_u16(),
        problem: problem.trim_start_matches("/problems/").to_owned(),
        short: short(stage, &answer.body),
    }
}

fn shown(action: &Action, body: &Value) -> Shown {
    let version = body.get("version").and_then(Value::as_i64);
    match action {
        Action::Place { .. } => {
            let order = id(body);
            Shown {
                order,
                version: order.map(Row::Order).zip(version),
                level: None,
            }
        }
        // What it shows of the order is no write of its own.
        Action::PlaceAgain { .. } => Shown {
            order: id(body),
            ..Shown::default()
        },
        Action::Cancel { order } | Action::EditOrder { order } | Action::ReadOrder { order, .. } => Shown {
            version: version.map(|version| (Row::Order(*order), version)),
            ..Shown::default()
        },
        Action::EditProduct { product } | Action::ReadProduct { product, .. } => Shown {
            version: version.map(|version| (Row::Product(*product), version)),
            ..Shown::default()
        },
        Action::Adjust { product } | Action::ReadStock { product, .. } => Shown {
            version: version.map(|version| (Row::Stock(*product), version)),
            level: level(body),
            ..Shown::default()
        },
        Action::Pay { .. }
        | Action::Browse
        | Action::Login
        | Action::Logout { .. }
        | Action::UseEnded { .. } => Shown::default(),
    }
}

/// Reads a body's own id.
pub(in crate::chaos) fn id(body: &Value) -> Option<Uuid> {
    body.get("id")?.as_str()?.parse().ok()
}

/// Reads the counters in a body.
pub(in crate::chaos) fn level(body: &Value) -> Option<Level> {
    let number = |field: &str| body.get(field)?.as_i64();
    Some(Level {
        on_hand: number("on_hand")?,
        reserved: number("reserved")?,
        version: number("version")?,
    })
}

/// The products of which a refusal says that there are too few.
fn short(stage: &Stage, body: &Value) -> Vec<usize> {
    let lines = body.get("lines").and_then(Value::as_array);
    lines
        .into_iter()
        .flatten()
        .filter_map(|line| line.get("product_id")?.as_str()?.parse::<Uuid>().ok())
        .filter_map(|id| stage.products.iter().position(|product| *product == id))
        .collect()
}
