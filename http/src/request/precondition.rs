//! Conditions on a resource's version: `If-Match` and `If-None-Match`.

use std::{convert::Infallible, str::FromStr};

use warp::{Filter, Rejection};

/// The version that an edit is based on.
struct IfMatch(i64);

/// Text that is not one strong `ETag` of this API.
#[derive(Debug)]
struct BadTag;

impl FromStr for IfMatch {
    type Err = BadTag;

    fn from_str(value: &str) -> Result<Self, BadTag> {
        version_of(value.trim()).map(Self).ok_or(BadTag)
    }
}

/// Reads the version from a strong `ETag`: digits between quotes, without leading zeros.
fn version_of(tag: &str) -> Option<i64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    canonical.then(|| digits.parse().ok()).flatten()
}

/// Extracts the version that an edit is based on.
///
/// `*` is not accepted: an edit that is based on whatever stands is not based on anything.
pub(crate) fn if_match() -> impl Filter<Extract = (i64,), Error = Rejection> + Copy {
    warp::header::header::<IfMatch>("if-match").map(|tag: IfMatch| tag.0)
}

/// The versions that a client has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfNoneMatch {
    /// None that this API made.
    #[default]
    Nothing,
    /// Any at all.
    Anything,
    /// These.
    Versions(Vec<i64>),
}

impl IfNoneMatch {
    /// Tells whether the client has this version.
    pub(crate) fn has(&self, version: i64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

impl FromStr for IfNoneMatch {
    type Err = Infallible;

    /// Reads a list of `ETag`s; those that this API did not make match nothing.
    fn from_str(value: &str) -> Result<Self, Infallible> {
        if value.trim() == "*" {
            return Ok(Self::Anything);
        }
        // The comparison is the weak one: a proxy that compresses weakens tags.
        let tags = value.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        let versions: Vec<i64> = tags.filter_map(version_of).collect();
        Ok(if versions.is_empty() {
            Self::Nothing
        } else {
            Self::Versions(versions)
        })
    }
}

/// Extracts the versions that the client has.
pub(crate) fn if_none_match() -> impl Filter<Extract = (IfNoneMatch,), Error = Rejection> + Copy {
    warp::header::optional::<IfNoneMatch>("if-none-match")
        .map(|condition: Option<IfNoneMatch>| condition.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_based_on_one_strong_tag() {
        assert!("\"7\"".parse::<IfMatch>().is_ok_and(|tag| tag.0 == 7));
        for bad in [
            "7",
            "*",
            "W/\"7\"",
            "\"7\", \"8\"",
            "\"-7\"",
            "\"07\"",
            "\"+7\"",
            "\"x\"",
            "\"\"",
            "",
        ] {
            assert!(bad.parse::<IfMatch>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_read_is_skipped_for_any_version_that_the_client_has() {
        let condition = |value: &str| value.parse::<IfNoneMatch>().unwrap_or_default();
        assert!(condition("\"7\"").has(7) && condition("W/\"7\"").has(7) && condition("\"6\", \"7\"").has(7));
        assert!(condition("*").has(1));
        assert!(!condition("\"8\"").has(7) && !condition("\"other\"").has(7) && !condition("7").has(7));
    }
}
