//! What all mails have in common: how they begin, and how they write what others have written.

use std::fmt::Write;

use holdfast_domain::{Timestamp, User};

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) subject: String,
    pub(super) body: String,
}

/// Writes text of somebody's own on one line: it must not look like a line of ours.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() || is_break(c) { ' ' } else { c })
        .collect();
    spaced.trim().to_owned()
}

/// Line and paragraph separators are no control characters, and break lines all the same.
fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Begins a body.
pub(super) fn greeting(user: &User) -> String {
    let name = one_line(&user.display_name);
    if name.is_empty() {
        "Hello,\n\n".to_owned()
    } else {
        format!("Hello {name},\n\n")
    }
}

/// Adds a line to a body.
pub(super) fn line(body: &mut String, line: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(body, "{line}");
}

/// Writes a time to the minute.
pub(super) fn minute(at: Timestamp) -> String {
    match at.to_offset_date_time() {
        Some(at) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02} UTC",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute()
        ),
        None => at.to_string(),
    }
}
