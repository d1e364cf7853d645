//! The W3C trace that a request belongs to.

use holdfast_actors::trace::TraceParent;
use tracing::Span;
use uuid::Uuid;
use warp::http::HeaderMap;

/// Gives a request's span its place: it goes on with the caller's trace, or begins one if there is none that
/// can be read. Where spans have no identity, `fresh` stands in for it.
pub(crate) fn begin(span: &Span, headers: &HeaderMap, fresh: Uuid) -> TraceParent {
    let given = headers
        .get("traceparent")
        .and_then(|value| TraceParent::parse(value.to_str().ok()?));
    if let Some(given) = given {
        given.adopt(span);
    }
    TraceParent::of(span).unwrap_or_else(|| {
        let fresh = fresh.into_bytes();
        let mut span = [0; 8];
        // The last eight bytes of a `UUIDv7` are random but for two bits, which also keep it from zero.
        span.copy_from_slice(&fresh[8..]);
        let (trace, flags) = given.map_or((fresh, 0), |given| (given.trace, given.flags));
        TraceParent { trace, span, flags }
    })
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
        begin(&Span::none(), &headers, Uuid::now_v7()).to_string()
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
