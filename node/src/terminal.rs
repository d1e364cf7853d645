//! What the commands say to people, on standard output and standard error.
//!
//! Results go to standard output, so that they can be piped; everything about
//! how they came to be goes to standard error.

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::{Table, presets};

/// Prints a line of a command's result, at once.
///
/// A reader that has gone, as `head` does, ends the output and nothing else.
pub fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints a remark.
pub fn remark(line: impl Display) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{line}").and_then(|()| err.flush());
}

/// Lays out a table as this program's tables look.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY.with_rounded_corners())
        .set_header(header);
    table
}
