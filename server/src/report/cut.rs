//! Output cut to the size of an answer: a quarter from the head, the rest from the tail, on line
//! borders, with true counts of what is missing and the call that reads it.

use crate::runs::Captured;
use crate::safe_text::clean::{self, Cleaned};
use nono_schemas::{StreamTruncation, TextFlags, Truncation};

/// Longest line in an answer that had to be cut anyway, in bytes.
const MAX_LINE: usize = 2000;
/// Lines picked out of what was left out.
const MAX_ERRORS: usize = 10;
/// Longest of them, in bytes.
const MAX_ERROR: usize = 200;

/// What there is of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Head and tail.
    pub(crate) captured: Captured,
    /// Bytes that were not kept.
    pub(crate) lost: u64,
    /// Lines of the stream before the first byte of it.
    pub(crate) lines_before: u64,
    /// Lines that look like errors, with their numbers in the stream, for what is left out.
    pub(crate) errors: Vec<(u64, Vec<u8>)>,
}

/// Both streams, ready for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) truncation: Option<Truncation>,
    pub(super) flags: Option<TextFlags>,
}

/// Makes both streams fit into `budget` bytes together. A stream that needs less than half leaves
/// the rest to the other.
pub(super) fn both(stdout: &Excerpt, stderr: &Excerpt, budget: usize, run_id: &str) -> Shown {
    let mut flags = TextFlags::default();
    let out = Text::of(stdout, "stdout", run_id, &mut flags);
    let err = Text::of(stderr, "stderr", run_id, &mut flags);
    let half = budget / 2;
    let for_err = err.len().min(half.max(budget.saturating_sub(out.len())));
    let for_out = budget - for_err;
    let (stdout, out_cut) = one(&out, stdout, for_out, "stdout", run_id);
    let (stderr, err_cut) = one(&err, stderr, for_err, "stderr", run_id);
    let truncation = (out_cut.is_some() || err_cut.is_some())
        .then_some(Truncation { stdout: out_cut, stderr: err_cut });
    Shown { stdout, stderr, truncation, flags: (flags != TextFlags::default()).then_some(flags) }
}

/// A stream as text. Head and tail touch unless there is something between them.
struct Text {
    head: String,
    tail: String,
    between: u64,
}

impl Text {
    fn of(excerpt: &Excerpt, stream: &str, run_id: &str, flags: &mut TextFlags) -> Self {
        let captured = &excerpt.captured;
        if clean::is_binary(&captured.head) {
            flags.binary = true;
            let head = format!(
                "[binary output, {} bytes, left out; read the resource nono://run/{run_id}/{stream}]\n",
                captured.total_bytes
            );
            return Self { head, tail: String::new(), between: 0 };
        }
        let mut text = |bytes: &[u8]| {
            let Cleaned { text, sequences, overwritten, invalid, unseen } = clean::output(bytes);
            flags.ansi_stripped |= sequences;
            flags.cr_collapsed += overwritten;
            flags.invalid_utf8 += invalid;
            flags.invisible += unseen;
            text
        };
        if captured.between == 0 {
            let whole = [captured.head.as_slice(), &captured.tail].concat();
            return Self { head: text(&whole), tail: String::new(), between: 0 };
        }
        let (head, tail) = (text(&captured.head), text(&captured.tail));
        Self { head, tail, between: captured.between }
    }

    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

fn one(
    text: &Text,
    excerpt: &Excerpt,
    budget: usize,
    stream: &str,
    run_id: &str,
) -> (String, Option<StreamTruncation>) {
    if text.between == 0 && text.len() <= budget {
        return (text.head.clone(), None);
    }
    let source_of_tail = if text.between == 0 { &text.head } else { &text.tail };
    let head = first_lines(&text.head, budget / 4);
    let tail = last_lines(source_of_tail, budget - budget / 4);
    let omitted = text.between + (text.len() - head.len() - tail.len()) as u64;
    let total_lines = excerpt.captured.total_lines;
    let first = excerpt.lines_before + lines(head) + 1;
    let last = (excerpt.lines_before + total_lines).saturating_sub(lines(tail)).max(first);
    let read_with =
        format!(r#"run_read {{"run_id":"{run_id}","stream":"{stream}","lines":"{first}-{last}"}}"#);
    let gap = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
    let (head, tail) = (clip(head), clip(tail));
    let shown = format!("{head}{gap}[... {omitted} bytes left out; {read_with} ...]\n{tail}");
    let note = StreamTruncation {
        total_bytes: excerpt.captured.total_bytes,
        total_lines,
        omitted_bytes: omitted,
        lost_bytes: excerpt.lost,
        errors: errors(&excerpt.errors, first, last),
        read_with,
    };
    (shown, Some(note))
}

/// Lines that are begun or ended in a text.
fn lines(text: &str) -> u64 {
    let newlines = text.bytes().filter(|b| *b == b'\n').count() as u64;
    newlines + u64::from(!text.is_empty() && !text.ends_with('\n'))
}

fn errors(found: &[(u64, Vec<u8>)], first: u64, last: u64) -> Vec<String> {
    let left_out = found.iter().filter(|(number, _)| (first..=last).contains(number));
    left_out
        .take(MAX_ERRORS)
        .map(|(number, bytes)| {
            let mut text = clean::output(bytes).text;
            text.truncate(text.floor_char_boundary(MAX_ERROR));
            format!("{number}: {text}")
        })
        .collect()
}

/// Long lines shortened.
fn clip(text: &str) -> String {
    let mut clipped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = line.floor_char_boundary(MAX_LINE);
        if line.trim_end().len() <= MAX_LINE {
            clipped.push_str(line);
            continue;
        }
        let (kept, rest) = line.split_at(end);
        let newline = if line.ends_with('\n') { "\n" } else { "" };
        clipped.push_str(&format!("{kept}[... {} bytes of this line ...]{newline}", rest.len()));
    }
    clipped
}

/// At most `budget` bytes from the start, ending with a line if the last half has a line end.
fn first_lines(text: &str, budget: usize) -> &str {
    let limit = text.floor_char_boundary(budget);
    let part = &text[..limit];
    match part.rfind('\n') {
        Some(end) if end >= limit / 2 => &part[..=end],
        _ => part,
    }
}

/// At most `budget` bytes from the end, starting with a line if the first half has a line end.
fn last_lines(text: &str, budget: usize) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(budget));
    let part = &text[start..];
    if start == 0 || text[..start].ends_with('\n') {
        return part;
    }
    match part.find('\n') {
        Some(end) if end < part.len() / 2 => &part[end + 1..],
        _ => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str) -> Excerpt {
        Excerpt {
            captured: Captured {
                head: text.into(),
                total_bytes: text.len() as u64,
                total_lines: text.lines().count() as u64,
                ..Captured::default()
            },
            ..Excerpt::default()
        }
    }

    fn numbered(lines: usize) -> String {
        (0..lines).map(|n| format!("line {n}\n")).collect()
    }

    fn cut(out: &str, err: &str, budget: usize) -> Shown {
        both(&excerpt(out), &excerpt(err), budget, "r-1")
    }

    #[test]
    fn what_fits_is_not_touched() {
        let shown = cut("out\n", "err", 1024);
        assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("out\n", "err"));
        assert_eq!((shown.truncation, shown.flags), (None, None));
        let long = "x".repeat(5000);
        assert_eq!(cut(&long, "", 6000).stdout, long);
    }

    #[test]
    fn a_quarter_head_and_three_quarters_tail_on_line_borders() {
        let text = numbered(2000);
        let shown = cut(&text, "", 1000);
        let (head, rest) = shown.stdout.split_once("[... ").unwrap();
        let (marker, tail) = rest.split_once(" ...]\n").unwrap();
        assert!(head.starts_with("line 0\n") && head.ends_with('\n'), "{head}");
        assert!(tail.starts_with("line ") && tail.ends_with("line 1999\n"), "{tail}");
        assert!(head.len() <= 250 && head.len() > 200, "{}", head.len());
        assert!(tail.len() <= 750 && tail.len() > 700, "{}", tail.len());
        let note = shown.truncation.unwrap().stdout.unwrap();
        assert_eq!(marker, format!("{} bytes left out; {}", note.omitted_bytes, note.read_with));
        let shown = (head.len() + tail.len()) as u64;
        assert_eq!(note.omitted_bytes, text.len() as u64 - shown);
        assert_eq!((note.total_bytes, note.total_lines), (text.len() as u64, 2000));
        let (first, last) = (head.lines().count() + 1, 2000 - tail.lines().count());
        assert!(
            note.read_with.contains(&format!(r#""lines":"{first}-{last}""#)),
            "{}",
            note.read_with
        );
    }

    #[test]
    fn a_small_stream_leaves_its_share_to_the_other() {
        let long = numbered(1000);
        let shown = cut(&long, "short", 2000);
        assert_eq!(shown.stderr, "short");
        assert!(shown.stdout.len() > 1900, "{}", shown.stdout.len());
        let shown = cut("short", &long, 2000);
        assert_eq!(shown.stdout, "short");
        assert!(shown.stderr.len() > 1900, "{}", shown.stderr.len());
        let shown = cut(&long, &long, 2000);
        assert!(shown.stdout.len() < 1200 && shown.stderr.len() < 1200);
    }

    #[test]
    fn what_lies_between_is_counted_and_long_lines_are_clipped() {
        let captured = Captured {
            head: vec![b'a'; 50_000],
            tail: vec![b'z'; 50_000],
            between: 1_000_000,
            total_bytes: 1_100_000,
            total_lines: 1,
        };
        let shown =
            both(&Excerpt { captured, ..Excerpt::default() }, &Excerpt::default(), 16_384, "r-1");
        let note = shown.truncation.unwrap().stdout.unwrap();
        assert_eq!(note.omitted_bytes, 1_100_000 - 16_384);
        assert!(shown.stdout.starts_with("aaa") && shown.stdout.len() < 5_000);
        assert!(
            shown.stdout.contains("[... 2096 bytes of this line ...]\n[... 1083616 bytes left out")
        );
    }

    #[test]
    fn errors_among_what_is_left_out_are_picked_out() {
        let errors = vec![(1, b"shown".to_vec()), (500, b"\x1b[31merror\x1b[0m: x".to_vec())];
        let excerpt = Excerpt { errors, ..excerpt(&numbered(2000)) };
        let note =
            both(&excerpt, &Excerpt::default(), 1000, "r-1").truncation.unwrap().stdout.unwrap();
        assert_eq!(note.errors, ["500: error: x"]);
    }

    #[test]
    fn never_cuts_a_character_and_says_what_it_did() {
        let shown = cut(&"ü".repeat(5000), "a\rb\x1b[0m", 1023);
        assert!(!shown.stdout.contains('\u{fffd}'));
        let flags = shown.flags.unwrap();
        assert_eq!((flags.cr_collapsed, flags.ansi_stripped, flags.binary), (1, true, false));
    }

    #[test]
    fn what_nobody_sees_is_replaced_and_counted() {
        let shown = cut("a\u{202e}b \u{e0041}\u{e0042}", "\u{ad}", 1024);
        assert_eq!(shown.stdout, "a\u{fffd}b \u{fffd}\u{fffd}");
        assert_eq!(shown.flags.unwrap().invisible, 4);
    }

    #[test]
    fn binary_output_is_described_instead_of_shown() {
        let mut binary = excerpt("");
        binary.captured.head = vec![0; 5000];
        binary.captured.total_bytes = 5000;
        let shown = both(&binary, &Excerpt::default(), 1024, "r-1");
        assert!(
            shown.stdout.contains("5000 bytes") && shown.stdout.contains("nono://run/r-1/stdout")
        );
        assert!(shown.flags.unwrap().binary && shown.truncation.is_none());
    }
}
