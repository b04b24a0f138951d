//! Output cut to the size of an answer: a quarter from the head, the rest from the tail, on line
//! borders, with true counts of what is missing.

use super::clean;
use crate::runs::Captured;
use nono_schemas::{StreamTruncation, Truncation};

/// Both streams, ready for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) truncation: Option<Truncation>,
}

/// Makes both streams fit into `budget` bytes together. A stream that needs less than half leaves
/// the rest to the other.
pub(super) fn both(stdout: &Captured, stderr: &Captured, budget: usize) -> Shown {
    let (out, err) = (Clean::of(stdout), Clean::of(stderr));
    let half = budget / 2;
    let for_err = err.len().min(half.max(budget.saturating_sub(out.len())));
    let for_out = budget - for_err;
    let (stdout, out_cut) = one(&out, stdout, for_out);
    let (stderr, err_cut) = one(&err, stderr, for_err);
    let truncation = (out_cut.is_some() || err_cut.is_some())
        .then_some(Truncation { stdout: out_cut, stderr: err_cut });
    Shown { stdout, stderr, truncation }
}

/// A stream as text. Head and tail touch unless bytes between them were dropped.
struct Clean {
    head: String,
    tail: String,
    dropped: u64,
}

impl Clean {
    fn of(captured: &Captured) -> Self {
        if captured.dropped == 0 {
            let whole = [captured.head.as_slice(), &captured.tail].concat();
            return Self { head: clean::output(&whole), tail: String::new(), dropped: 0 };
        }
        Self {
            head: clean::output(&captured.head),
            tail: clean::output(&captured.tail),
            dropped: captured.dropped,
        }
    }

    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

fn one(clean: &Clean, captured: &Captured, budget: usize) -> (String, Option<StreamTruncation>) {
    if clean.dropped == 0 && clean.len() <= budget {
        return (clean.head.clone(), None);
    }
    let source_of_tail = if clean.dropped == 0 { &clean.head } else { &clean.tail };
    let head = first_lines(&clean.head, budget / 4);
    let tail = last_lines(source_of_tail, budget - budget / 4);
    let shown = head.len() + tail.len();
    let omitted = clean.dropped + (clean.len() - shown) as u64;
    let note = StreamTruncation {
        total_bytes: captured.total_bytes,
        total_lines: captured.total_lines,
        omitted_bytes: omitted,
    };
    let gap = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
    (format!("{head}{gap}[... {omitted} bytes left out ...]\n{tail}"), Some(note))
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

    fn captured(text: &str) -> Captured {
        Captured {
            head: text.into(),
            total_bytes: text.len() as u64,
            total_lines: text.lines().count() as u64,
            ..Captured::default()
        }
    }

    fn numbered(lines: usize) -> String {
        (0..lines).map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn what_fits_is_not_touched() {
        let shown = both(&captured("out\n"), &captured("err"), 1024);
        assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("out\n", "err"));
        assert_eq!(shown.truncation, None);
    }

    #[test]
    fn a_quarter_head_and_three_quarters_tail_on_line_borders() {
        let text = numbered(2000);
        let shown = both(&captured(&text), &captured(""), 1000);
        let (head, tail) = shown.stdout.split_once("[... ").unwrap();
        let (omitted, tail) = tail.split_once(" bytes left out ...]\n").unwrap();
        assert!(head.starts_with("line 0\n") && head.ends_with('\n'), "{head}");
        assert!(tail.starts_with("line ") && tail.ends_with("line 1999\n"), "{tail}");
        assert!(head.len() <= 250 && head.len() > 200, "{}", head.len());
        assert!(tail.len() <= 750 && tail.len() > 700, "{}", tail.len());
        let note = shown.truncation.unwrap().stdout.unwrap();
        assert_eq!(omitted.parse(), Ok(note.omitted_bytes));
        let shown = (head.len() + tail.len()) as u64;
        assert_eq!(note.omitted_bytes, text.len() as u64 - shown);
        assert_eq!((note.total_bytes, note.total_lines), (text.len() as u64, 2000));
    }

    #[test]
    fn a_small_stream_leaves_its_share_to_the_other() {
        let long = numbered(1000);
        let shown = both(&captured(&long), &captured("short"), 2000);
        assert_eq!(shown.stderr, "short");
        assert!(shown.stdout.len() > 1900, "{}", shown.stdout.len());
        let shown = both(&captured("short"), &captured(&long), 2000);
        assert_eq!(shown.stdout, "short");
        assert!(shown.stderr.len() > 1900, "{}", shown.stderr.len());
        let shown = both(&captured(&long), &captured(&long), 2000);
        assert!(shown.stdout.len() < 1100 && shown.stderr.len() < 1100);
    }

    #[test]
    fn dropped_bytes_are_counted_and_long_lines_are_cut() {
        let captured = Captured {
            head: vec![b'a'; 5000],
            tail: vec![b'z'; 5000],
            dropped: 1_000_000,
            total_bytes: 1_010_000,
            total_lines: 1,
        };
        let shown = both(&captured, &Captured::default(), 1000);
        let note = shown.truncation.unwrap().stdout.unwrap();
        assert_eq!(note.omitted_bytes, 1_010_000 - 1000);
        assert!(shown.stdout.starts_with("aaa") && shown.stdout.ends_with("zzz"));
        assert!(shown.stdout.contains("a\n[... 1009000 bytes left out ...]\nz"));
    }

    #[test]
    fn never_cuts_a_character() {
        let shown = both(&captured(&"ü".repeat(5000)), &captured(""), 1023);
        assert!(!shown.stdout.contains('\u{fffd}'));
    }
}
