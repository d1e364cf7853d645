//! The W3C trace that a request belongs to.

use std::fmt;

use uuid::Uuid;
use warp::http::HeaderMap;

/// A `traceparent` of this edge's own: the caller's trace if it named one, and a new span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// Goes on with the caller's trace, or begins `fresh` if there is none that can be read.
    pub(crate) fn from_headers(headers: &HeaderMap, fresh: Uuid) -> Self {
        let fresh = fresh.into_bytes();
        let mut span = [0; 8];
        // The last eight bytes of a `UUIDv7` are random but for two bits, which also keep it from zero.
        span.copy_from_slice(&fresh[8..]);
        let given = headers
            .get("traceparent")
            .and_then(|value| parse(value.to_str().ok()?));
        let (trace, flags) = given.unwrap_or((fresh, 0));
        Self { trace, span, flags }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = u128::from_be_bytes(self.trace);
        let span = u64::from_be_bytes(self.span);
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Parses `version-trace-span-flags`; later versions may append more fields.
fn parse(text: &str) -> Option<([u8; 16], u8)> {
    let mut fields = text.split('-');
    let version = hex::<1>(fields.next()?)?[0];
    let trace = hex::<16>(fields.next()?)?;
    let span = hex::<8>(fields.next()?)?;
    let flags = hex::<1>(fields.next()?)?[0];
    let has_more = fields.next().is_some();
    let is_valid = version != 0xff && (version != 0 || !has_more) && trace != [0; 16] && span != [0; 8];
    is_valid.then_some((trace, flags))
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn taken(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            "traceparent",
            HeaderValue::from_str(value).expect("a header value"),
        );
        TraceParent::from_headers(&headers, Uuid::now_v7()).to_string()
    }

    #[test]
    fn the_callers_trace_goes_on_under_a_new_span() {
        let ours = taken(GIVEN);
        assert_eq!(ours[..36], GIVEN[..36]);
        assert_ne!(ours[36..52], GIVEN[36..52]);
        assert_eq!(ours[52..], GIVEN[52..]);
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert_eq!(taken(&format!("cc{}-more", &GIVEN[2..]))[3..35], GIVEN[3..35]);
    }

    #[test]
    fn what_cannot_be_read_begins_a_new_trace() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = GIVEN.to_uppercase();
        for bad in [
            "",
            "00",
            &GIVEN[..54],
            zero,
            &upper,
            &format!("{GIVEN}-x"),
            &format!("ff{}", &GIVEN[2..]),
        ] {
            let ours = taken(bad);
            assert_eq!(ours.len(), 55);
            assert_ne!(ours[3..35], GIVEN[3..35], "{bad:?}");
        }
    }
}
