//! A list's query: filters that are parsed by name, and nothing that is not known.

use std::{fmt::Display, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use holdfast_domain::FieldError;
use warp::{Filter, Rejection};

use crate::{digest::sha256, problem::Problem};

/// How much of its hash names a list: enough to tell a client's lists apart.
const SCOPE_BYTES: usize = 6;

/// The parameters of a query, taken one by one.
///
/// What is wrong is gathered, so that a client reads all of it at once.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    scope: String,
    errors: Vec<FieldError>,
}

impl Query {
    fn new(path: &str, pairs: Vec<(String, String)>) -> Self {
        Self {
            scope: scope(path, &pairs),
            pairs,
            errors: Vec::new(),
        }
    }

    /// Returns a name for the list that the query asks for, whatever the page.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// Takes a parameter's text.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.swap_remove(at);
        if self.pairs.iter().any(|(key, _)| key == name) {
            self.refuse(name, "is given twice");
            self.pairs.retain(|(key, _)| key != name);
        }
        Some(value)
    }

    /// Takes a parameter and parses it.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.take(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, error);
                None
            }
        }
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn refuse(&mut self, name: &str, message: impl Display) {
        self.errors.push(FieldError::new(name, message.to_string()));
    }

    /// Refuses what was wrong, and parameters that nobody took.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let unknown = self
            .pairs
            .iter()
            .map(|(name, _)| FieldError::new(name, "is not a parameter of this call"));
        self.errors.extend(unknown);
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::validation(&self.errors))
        }
    }
}

/// Names the list that path and filters ask for: the same for every page of it.
fn scope(path: &str, pairs: &[(String, String)]) -> String {
    let mut filters: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| name != "cursor" && name != "limit")
        .collect();
    filters.sort_unstable();
    let mut parts: Vec<&[u8]> = vec![path.as_bytes()];
    for (name, value) in filters {
        parts.extend([
            b"\0".as_slice(),
            name.as_bytes(),
            b"\0".as_slice(),
            value.as_bytes(),
        ]);
    }
    let hash = sha256(&parts);
    BASE64_URL_SAFE_NO_PAD.encode(&hash[..SCOPE_BYTES])
}

/// Extracts the query of a list.
pub(crate) fn query() -> impl Filter<Extract = (Query,), Error = Rejection> + Copy {
    warp::path::full()
        .and(warp::query::<Vec<(String, String)>>())
        .map(|path: warp::path::FullPath, pairs| Query::new(path.as_str(), pairs))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a query from decoded pairs.
    pub(crate) fn query_of(pairs: &[(&str, &str)]) -> Query {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Query::new("/v1/things", pairs.iter().map(owned).collect())
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut query = query_of(&[("a", "x"), ("b", "1"), ("b", "2"), ("typo", "")]);
        assert_eq!(query.parse::<u32>("a"), None);
        query.take("b");
        assert_eq!(query.take("c"), None);
        let problem = query.finish().expect_err("a refusal");
        let fields: Vec<_> = problem.field_errors().map(|error| error.0).collect();
        assert_eq!(fields, ["a", "b", "typo"]);
    }

    #[test]
    fn pages_of_one_list_share_a_scope_and_other_filters_do_not() {
        let first = query_of(&[("status", "active"), ("q", "mug")]);
        let second = query_of(&[
            ("q", "mug"),
            ("cursor", "abc"),
            ("limit", "7"),
            ("status", "active"),
        ]);
        assert_eq!(first.scope(), second.scope());
        assert_ne!(
            first.scope(),
            query_of(&[("q", "cup"), ("status", "active")]).scope()
        );
        assert_ne!(first.scope(), query_of(&[("status", "active")]).scope());
    }
}
