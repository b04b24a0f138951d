//! The lines of a stream, wherever its bytes lie.

use super::pattern::{Found, Matcher};
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
    for_each_chunk(view, stream, from, |chunk| {
        for (number, bytes) in (chunk.first..).zip(lines(chunk.bytes)) {
            if !each(Line { number, bytes }) {
                return false;
            }
        }
        true
    });
}

/// Calls `each` with every line that matches, in order, until it returns `false`. `pattern` takes
/// many lines at once, which is what makes this fast: it must be one of ours, of which no match
/// spans lines and whose `^` and `$` mean lines.
pub(crate) fn for_each_match(
    view: &OutputView,
    stream: Stream,
    from: u64,
    pattern: &Regex,
    mut each: impl FnMut(Line<'_>) -> bool,
) {
    for_each_chunk(view, stream, from, |chunk| {
        let (bytes, mut at, mut number) = (chunk.bytes, 0, chunk.first);
        while let Some(found) = pattern.find_at(bytes, at) {
            let (start, end) = line_at(bytes, at, found.start());
            number += newlines(bytes.get(at..start).unwrap_or_default());
            if start >= bytes.len() {
                break;
            }
            if !each(Line { number, bytes: &bytes[start..end] }) {
                return false;
            }
            number += 1;
            at = end + 1;
            if at >= bytes.len() {
                break;
            }
        }
        true
    });
}

/// How far a search got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Searched {
    /// Where to go on, if it was ended: everything before was looked at.
    pub(crate) stopped_at: Option<u64>,
    /// Lines of which only the beginning was looked at, and no match found there.
    pub(crate) partly: u64,
}

/// Calls `each` with every line that matches what a client wrote, in order, until the matcher is
/// told to end. Each line is matched by itself.
pub(crate) fn search<G: FnMut() -> bool>(
    view: &OutputView,
    stream: Stream,
    from: u64,
    matcher: &mut Matcher<'_, G>,
    mut each: impl FnMut(Line<'_>),
) -> Searched {
    let mut searched = Searched::default();
    // A line that takes all of the time alone is given up: otherwise nobody would get past it.
    let mut is_first = true;
    for_each_chunk(view, stream, from, |chunk| {
        if !matcher.spend(chunk.bytes.len() / 16) && !is_first {
            searched.stopped_at = Some(chunk.seq_at(0));
            return false;
        }
        let (bytes, mut at, mut number) = (chunk.bytes, 0, chunk.first);
        while at < bytes.len()
            && let Some(candidate) = matcher.candidate(bytes, at)
        {
            let (start, end) = line_at(bytes, at, candidate);
            number += newlines(bytes.get(at..start).unwrap_or_default());
            let line = bytes.get(start..end).unwrap_or_default();
            let looked_at = line.get(..MAX_LINE).unwrap_or(line);
            match matcher.find(looked_at) {
                Found::Match => each(Line { number, bytes: looked_at }),
                Found::Nothing if looked_at.len() == line.len() => {}
                Found::Nothing | Found::NothingInPart => searched.partly += 1,
                Found::Ended => {
                    searched.partly += u64::from(is_first);
                    let next = if is_first { end + 1 } else { start };
                    searched.stopped_at = Some(chunk.seq_at(next).min(view.total()));
                    return false;
                }
            }
            is_first = false;
            number += 1;
            at = end + 1;
        }
        is_first = false;
        true
    });
    searched
}

/// Where the line that holds `place` starts, at `from` at the earliest, and ends.
fn line_at(bytes: &[u8], from: usize, place: usize) -> (usize, usize) {
    let before = bytes.get(from..place).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(from, |n| from + n + 1);
    let behind = bytes.get(place..).unwrap_or_default();
    (start, memchr::memchr(b'\n', behind).map_or(bytes.len(), |n| place + n))
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Whole lines of a stream.
struct Chunk<'c> {
    /// The number of the first one.
    first: u64,
    bytes: &'c [u8],
    /// Where in the output it begins.
    seq: u64,
    /// From this offset on its bytes lie together in the output, at this position.
    joint: (usize, u64),
}

impl Chunk<'_> {
    /// Where in the output a line lies that starts at `offset`.
    fn seq_at(&self, offset: usize) -> u64 {
        let (joint, seq) = self.joint;
        if offset < joint { self.seq } else { seq + (offset - joint) as u64 }
    }
}

/// Calls `each` with all whole lines from a position on.
fn for_each_chunk(
    view: &OutputView,
    stream: Stream,
    from: u64,
    mut each: impl FnMut(&Chunk<'_>) -> bool,
) {
    let mut number = view.lines_before(stream, from) + 1;
    // The beginning of a line whose end was not read yet, and where it lies.
    let mut begun: Vec<u8> = Vec::new();
    let mut begun_at = from;
    let mut behind_gap = false;
    for piece in view.pieces(stream, from) {
        if !behind_gap && view.is_behind_gap(piece) {
            behind_gap = true;
            begun.clear();
            number = view.first_line_of_tail(stream).max(number);
        }
        let bytes = view.read(piece);
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let (ends, rest) = bytes.split_at(whole);
        if !ends.is_empty() {
            let (joint, seq) =
                if begun.is_empty() { (0, piece.seq) } else { (begun.len(), begun_at) };
            let joined;
            let bytes = if begun.is_empty() {
                ends
            } else {
                begun.extend_from_slice(ends);
                joined = std::mem::take(&mut begun);
                &joined
            };
            let chunk = Chunk { first: number, bytes, seq, joint: (joint, piece.seq) };
            if !each(&chunk) {
                return;
            }
            number += newlines(ends);
        }
        if begun.is_empty() {
            begun_at = piece.seq + whole as u64;
        }
        let room = MAX_LINE.saturating_sub(begun.len());
        begun.extend_from_slice(rest.get(..room).unwrap_or(rest));
    }
    if !begun.is_empty() {
        let joint = (begun.len(), view.total());
        each(&Chunk { first: number, bytes: &begun, seq: begun_at, joint });
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
