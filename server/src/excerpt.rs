//! The part of a run's output that goes into one answer, and what is said of it before there is one.

use crate::report::{Excerpt, Output};
use crate::runs::{OutputView, Run, Stream, for_each_match};
use crate::safe_text::clean;
use regex::bytes::Regex;
use std::sync::LazyLock;
use std::time::Duration;

/// Bytes read for each byte that can be shown: terminal sequences and overwritten lines take room
/// and are left out.
const READ_PER_SHOWN: usize = 4;
/// Error lines looked for in one stream.
const MAX_ERRORS: usize = 100;

/// Which part of a run's output an answer is about, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Only what lies behind this position.
    pub(crate) after: u64,
    /// Only this stream.
    pub(crate) stream: Option<Stream>,
    /// Bytes in the answer.
    pub(crate) max_output: usize,
}

/// What an answer shows of both streams.
pub(crate) fn output(view: &OutputView, window: &Window) -> Output {
    let of = |stream| {
        let wanted = window.stream.is_none_or(|only| only == stream);
        if wanted { excerpt(view, stream, window) } else { Excerpt::default() }
    };
    Output {
        stdout: of(Stream::Stdout),
        stderr: of(Stream::Stderr),
        next_seq: view.total(),
        redactions: view.redactions(),
        note: None,
        nothing: None,
    }
}

fn excerpt(view: &OutputView, stream: Stream, window: &Window) -> Excerpt {
    let captured =
        view.capture(stream, window.after, window.max_output, window.max_output * READ_PER_SHOWN);
    let is_cut = captured.total_bytes > window.max_output as u64 / 2;
    Excerpt {
        lost: view.dropped(stream, window.after),
        lines_before: if is_cut { view.lines_before(stream, window.after) } else { 0 },
        errors: if is_cut { errors(view, stream) } else { Vec::new() },
        captured,
    }
}

/// Lines that say that something went wrong, in the words most tools use.
fn errors(view: &OutputView, stream: Stream) -> Vec<(u64, Vec<u8>)> {
    static ERROR: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i-u)\b(error|errors|panicked|fatal|failed|failure|exception|traceback)\b")
            .ok()
    });
    let Some(pattern) = ERROR.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    for_each_match(view, stream, 0, pattern, |line| {
        found.push((line.number, line.bytes.to_vec()));
        found.len() < MAX_ERRORS
    });
    found
}

/// The last line of output, or how long there has been none.
pub(crate) fn message(run: &Run, elapsed: Duration) -> String {
    /// Looked at from the end.
    const BYTES: usize = 1024;
    const LENGTH: usize = 120;
    let text = clean::output(&run.view().last_bytes(BYTES)).text;
    match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(line) => line.chars().take(LENGTH).collect(),
        None => format!("no output yet after {} s", elapsed.as_secs()),
    }
}
