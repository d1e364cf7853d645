//! Gathers what is wrong with a body's fields, so that a client reads all of it at once.

use holdfast_domain::{FieldError, Refusal};

use crate::problem::Problem;

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes the outcome of a check and returns its value, if it has one.
    pub(crate) fn take<T>(&mut self, outcome: Result<T, FieldError>) -> Option<T> {
        outcome.map_err(|error| self.0.push(error)).ok()
    }

    /// Notes the outcome of a check of several fields.
    ///
    /// # Errors
    /// The refusal, if it is about anything else.
    pub(crate) fn take_all<T>(&mut self, outcome: Result<T, Refusal>) -> Result<Option<T>, Problem> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Refusal::Invalid(errors)) => {
                self.0.extend(errors);
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Notes that a field breaks a rule unless `is_kept`.
    pub(crate) fn require(&mut self, is_kept: bool, field: &str, message: impl Into<String>) {
        if !is_kept {
            self.0.push(FieldError::new(field, message));
        }
    }

    /// Returns `value`, which is there if nothing was found wrong; else refuses what was.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Problem::validation(&self.0)),
        }
    }
}
