//! `nono-mcp run --learn`: what the profile would need for the command that just ran.

use crate::report::addition;
use nono_schemas::RunResult;
use std::io::Write;

/// Prints the draft, for the operator to read and to put into a profile.
pub(super) fn draft(profile: &str, result: &RunResult) {
    let draft = addition(profile, &result.denials);
    let _nobody_listens = std::io::stderr().write_all(draft.as_bytes());
}
