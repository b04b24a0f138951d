//! What is written to standard output and standard error.

use crate::safe_text::clean;
use std::io::{IsTerminal as _, Write};

/// Writes text for a person, whose terminal nothing in it may work: names and files in it may be
/// anybody's. If nobody listens, there is nobody to tell.
pub(super) fn show(mut to: impl Write, text: &str) {
    let _nobody_listens = to.write_all(clean::text(text).as_bytes());
}

/// To standard output, for a person.
pub(super) fn print(text: &str) {
    show(std::io::stdout(), text);
}

/// To standard output: exact where a program reads it, safe to look at on a terminal.
pub(super) fn print_exactly(text: &str) {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        return print(text);
    }
    let _nobody_listens = out.write_all(text.as_bytes());
}

/// To standard output, as JSON.
pub(super) fn print_json(value: &serde_json::Value) {
    print_exactly(&format!("{value:#}\n"));
}
