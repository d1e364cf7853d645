//! Positions in the feed as clients keep them: opaque, and versioned for us.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use holdfast_actors::client::EventPosition;

/// The form that this release writes and reads.
const VERSION: &str = "1:";
/// Longer texts are not ours.
const MAX_BYTES: usize = 256;

/// Writes a position.
pub(super) fn encode(position: EventPosition) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{VERSION}{position}"))
}

/// Reads a position; `None`: it is not one.
pub(super) fn decode(text: &str) -> Option<EventPosition> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    std::str::from_utf8(&bytes)
        .ok()?
        .strip_prefix(VERSION)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was() {
        for text in ["0", "17/order.placed/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d/3"] {
            let position: EventPosition = text.parse().expect("a position");
            assert_eq!(decode(&encode(position)), Some(position));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_no_position() {
        let long = "x".repeat(MAX_BYTES + 1);
        for text in ["", "nonsense", "17", "MTc", &long] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
