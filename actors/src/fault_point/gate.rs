//! Leaving the output gate open, to show that somebody notices.

use std::str::FromStr;

/// A half of the output gate that lets through what is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenGate {
    /// Whoever asked is answered before the commit that the answer tells of.
    Answers,
    /// Units are refused that are merely promised to others.
    Refusals,
}

/// The output gate has no such half.
#[derive(Debug, thiserror::Error)]
#[error("must be `answers` or `refusals`")]
pub struct UnknownGate;

impl FromStr for OpenGate {
    type Err = UnknownGate;

    fn from_str(name: &str) -> Result<Self, UnknownGate> {
        match name {
            "answers" => Ok(Self::Answers),
            "refusals" => Ok(Self::Refusals),
            _ => Err(UnknownGate),
        }
    }
}
