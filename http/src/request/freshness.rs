//! How fresh a client wants a read to be: `Cache-Control: no-cache` and `X-Min-Version`.

use std::{convert::Infallible, str::FromStr};

use holdfast_actors::client::Freshness;
use warp::{Filter, Rejection};

/// Whether `Cache-Control` asks past every cache.
struct NoCache(bool);

impl FromStr for NoCache {
    type Err = Infallible;

    fn from_str(value: &str) -> Result<Self, Infallible> {
        let directives = value
            .split(',')
            .map(|directive| directive.split('=').next().unwrap_or_default());
        Ok(Self(
            directives
                .map(str::trim)
                .any(|name| name.eq_ignore_ascii_case("no-cache")),
        ))
    }
}

/// A version that a client has seen.
struct SeenVersion(i64);

/// Text that is no version.
#[derive(Debug)]
struct BadVersion;

impl FromStr for SeenVersion {
    type Err = BadVersion;

    fn from_str(value: &str) -> Result<Self, BadVersion> {
        match value.trim().parse() {
            Ok(version @ 0..) => Ok(Self(version)),
            _ => Err(BadVersion),
        }
    }
}

/// Extracts how fresh the read has to be.
pub(crate) fn freshness() -> impl Filter<Extract = (Freshness,), Error = Rejection> + Copy {
    warp::header::optional::<NoCache>("cache-control")
        .and(warp::header::optional::<SeenVersion>("x-min-version"))
        .map(|no_cache: Option<NoCache>, seen: Option<SeenVersion>| Freshness {
            linearizable: no_cache.is_some_and(|no_cache| no_cache.0),
            min_version: seen.map(|seen| seen.0),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cache_is_found_among_other_directives() {
        let asks = |value: &str| value.parse::<NoCache>().is_ok_and(|no_cache| no_cache.0);
        assert!(asks("no-cache") && asks("max-age=0, No-Cache") && asks("no-cache=\"x\""));
        assert!(!asks("no-store") && !asks("max-age=0") && !asks(""));
    }

    #[test]
    fn a_version_is_a_whole_number_that_is_not_negative() {
        assert!("0".parse::<SeenVersion>().is_ok_and(|seen| seen.0 == 0));
        for bad in ["-1", "1.5", "x", ""] {
            assert!(bad.parse::<SeenVersion>().is_err(), "{bad:?}");
        }
    }
}
