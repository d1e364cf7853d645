//! Lines as a client sends them: in any order, a product perhaps more than once.
//!
//! The domain merges and sorts them; what it then finds wrong with a line is told of the line that
//! the client sent.

use holdfast_actors::Error;
use holdfast_domain::{
    FieldError, ProductId, Refusal,
    order::{WantedLine, merge_lines},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// A product and how many units of it are wanted.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct LineRequest {
    /// The product.
    #[schema(value_type = Uuid)]
    product_id: ProductId,
    /// Units, 1 to 10,000 over all lines of the product.
    #[schema(minimum = 1, maximum = 10_000, example = 2)]
    quantity: u32,
}

/// The lines of a request, in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct SentLines(Vec<(ProductId, u32)>);

impl SentLines {
    /// Remembers a request's lines.
    pub(super) fn of(lines: &[LineRequest]) -> Self {
        Self(
            lines
                .iter()
                .map(|line| (line.product_id, line.quantity))
                .collect(),
        )
    }

    /// Adds up lines that repeat a product.
    pub(super) fn merged(&self) -> Result<Vec<WantedLine>, Refusal> {
        merge_lines(self.0.iter().copied())
    }

    /// Makes the problem of what went wrong with the merged lines.
    pub(super) fn problem(&self, error: Error) -> Problem {
        match error {
            Error::Refused {
                refusal: Refusal::Invalid(errors),
                replayed,
            } => {
                let errors = errors.into_iter().map(|error| self.located(error)).collect();
                Error::Refused {
                    refusal: Refusal::Invalid(errors),
                    replayed,
                }
                .into()
            }
            error => error.into(),
        }
    }

    /// Points an error about a merged line at the first line of its product that was sent.
    fn located(&self, error: FieldError) -> FieldError {
        let sent_at = error.field.strip_prefix("/lines/").and_then(|rest| {
            let (merged_at, member) = rest.split_once('/').unwrap_or((rest, ""));
            let mut products: Vec<ProductId> = self.0.iter().map(|(product_id, _)| *product_id).collect();
            products.sort_unstable();
            products.dedup();
            let product = products.get(merged_at.parse::<usize>().ok()?)?;
            Some((self.0.iter().position(|(sent, _)| sent == product)?, member))
        });
        match sent_at {
            Some((at, "")) => FieldError::new(format!("/lines/{at}"), error.message),
            Some((at, member)) => FieldError::new(format!("/lines/{at}/{member}"), error.message),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Timestamp;

    use super::*;

    #[test]
    fn an_error_names_the_line_that_was_sent() {
        let product = |n: i64| ProductId::mint(Timestamp::from_unix_micros(n * 1_000_000), [1; 10]);
        let lines = SentLines(vec![
            (product(9), 1),
            (product(2), 1),
            (product(9), 2),
            (product(1), 1),
        ]);
        let merged = lines.merged().expect("good lines");
        for (at, line) in merged.iter().enumerate() {
            let located = lines.located(FieldError::new(format!("/lines/{at}/product_id"), "is unknown"));
            let sent_at = lines
                .0
                .iter()
                .position(|(sent, _)| *sent == line.product_id)
                .expect("it was sent");
            assert_eq!(located.field, format!("/lines/{sent_at}/product_id"));
        }
        for other in ["/lines", "/note", "/lines/99/product_id"] {
            assert_eq!(lines.located(FieldError::new(other, "is bad")).field, other);
        }
    }
}
