//! The lines of a stream, wherever its bytes lie.

use super::switches::Stream;
use super::view::OutputView;
use regex::bytes::Regex;

/// Longest part of a line that is looked at.
const MAX_LINE: usize = 64 << 10;

/// One line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'c> {
    /// Counted from 1, lines that were not kept included.
    pub(crate) number: u64,
    /// Its bytes.
    pub(crate) bytes: &'c [u8],
}

/// Calls `each` with every line that starts behind `from`, in order, until it returns `false`. The
/// first one, and the first one behind a gap, may lack their beginning.
pub(crate) fn for_each_line(
    view: &OutputView,
    stream: Stream,
    from: u64,
    mut each: impl FnMut(Line<'_>) -> bool,
) {
    for_each_chunk(view, stream, from, |mut number, chunk| {
        for bytes in lines(chunk) {
            if !each(Line { number, bytes }) {
                return false;
            }
            number += 1;
        }
        true
    });
}

/// Calls `each` with every line that matches, in order, until it returns `false`. `pattern` takes
/// many lines at once, which is what makes this fast; `^` and `$` must mean lines in it.
pub(crate) fn for_each_match(
    view: &OutputView,
    stream: Stream,
    from: u64,
    pattern: &Regex,
    mut each: impl FnMut(Line<'_>) -> bool,
) {
    for_each_chunk(view, stream, from, |first, chunk| {
        let (mut at, mut number) = (0, first);
        while let Some(found) = pattern.find_at(chunk, at) {
            let before = chunk.get(at..found.start()).unwrap_or_default();
            number += memchr::memchr_iter(b'\n', before).count() as u64;
            let start = memchr::memrchr(b'\n', &chunk[..found.start()]).map_or(0, |n| n + 1);
            let end = memchr::memchr(b'\n', &chunk[found.start()..])
                .map_or(chunk.len(), |n| found.start() + n);
            if start >= chunk.len() {
                break;
            }
            if !each(Line { number, bytes: &chunk[start..end] }) {
                return false;
            }
            number += 1;
            at = end + 1;
            if at >= chunk.len() {
                break;
            }
        }
        true
    });
}

/// Calls `each` with the number of a line and whole lines from there on.
fn for_each_chunk(
    view: &OutputView,
    stream: Stream,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> bool,
) {
    let mut number = view.lines_before(stream, from) + 1;
    let mut begun: Vec<u8> = Vec::new();
    let mut behind_gap = false;
    for piece in view.pieces(stream, from) {
        if !behind_gap && view.is_behind_gap(piece) {
            behind_gap = true;
            begun.clear();
            number = view.first_line_of_tail(stream).max(number);
        }
        let mut bytes = view.read(piece);
        if !begun.is_empty() {
            begun.append(&mut bytes);
            std::mem::swap(&mut begun, &mut bytes);
        }
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let (chunk, rest) = bytes.split_at(whole);
        if !chunk.is_empty() && !each(number, chunk) {
            return;
        }
        number += memchr::memchr_iter(b'\n', chunk).count() as u64;
        begun = rest.get(..rest.len().min(MAX_LINE)).unwrap_or_default().to_vec();
    }
    if !begun.is_empty() {
        each(number, &begun);
    }
}

fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        Some(line)
    })
}
