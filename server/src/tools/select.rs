//! Lines picked out of a run's output, by number or by pattern.

use super::bad_input::BadInput;
use crate::excerpt::Window;
use crate::report::{Excerpt, Output};
use crate::runs::{
    Captured, Matcher, OutputView, Pattern, Searched, Stream, for_each_line, search,
};
use serde_json::json;

/// What a client searches for.
#[derive(Debug)]
pub(super) struct Matching {
    /// As it wrote it.
    text: String,
    pattern: Pattern,
}

/// Which lines.
#[derive(Debug)]
pub(super) enum Selection {
    /// Those that match, with their numbers.
    Matching(Box<Matching>),
    /// Those with these numbers, the last one included.
    Numbered {
        /// From 1.
        first: u64,
        /// At least `first`.
        last: u64,
    },
    /// The last ones.
    Last(u64),
}

impl Selection {
    /// Reads the arguments `grep` and `lines`; `None` if there is neither.
    ///
    /// # Errors
    /// [`BadInput`] says what is wrong with them.
    pub(super) fn parse(grep: Option<&str>, lines: Option<&str>) -> Result<Option<Self>, BadInput> {
        match (grep, lines) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(BadInput::GrepAndLines),
            (Some(pattern), None) => Self::matching(pattern).map(Some),
            (None, Some(lines)) => {
                Self::numbered(lines).map(Some).ok_or_else(|| BadInput::Lines(lines.to_owned()))
            }
        }
    }

    /// Whether lines are picked by what is in them.
    pub(super) fn is_of_pattern(&self) -> bool {
        matches!(self, Self::Matching(_))
    }

    fn matching(pattern: &str) -> Result<Self, BadInput> {
        let text = pattern.to_owned();
        Pattern::new(pattern)
            .map(|pattern| Self::Matching(Box::new(Matching { text, pattern })))
            .map_err(BadInput::Pattern)
    }

    /// `10-20`, `10-`, `10` or `-10`.
    fn numbered(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<u64>().ok().filter(|n| *n > 0);
        match text.split_once('-') {
            None => number(text).map(|n| Self::Numbered { first: n, last: n }),
            Some(("", last)) => number(last).map(Self::Last),
            Some((first, "")) => Some(Self::Numbered { first: number(first)?, last: u64::MAX }),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Numbered { first, last })
            }
        }
    }

    /// The lines of both streams that are picked. `go_on` is asked while lines are matched, with
    /// the stream they are of: once it says no, the answer says how far that got.
    pub(super) fn of(
        &self,
        view: &OutputView,
        window: &Window,
        run_id: &str,
        mut go_on: impl FnMut(Stream) -> bool,
    ) -> Output {
        let mut searched = Vec::new();
        let mut of = |stream| {
            let wanted = window.stream.is_none_or(|only| only == stream);
            if !wanted {
                return Excerpt::default();
            }
            let (excerpt, done) = self.of_stream(view, stream, window, || go_on(stream));
            searched.push((stream, done));
            excerpt
        };
        let (stdout, stderr) = (of(Stream::Stdout), of(Stream::Stderr));
        let stopped = searched.iter().filter_map(|(_, done)| done.stopped_at).min();
        let note = match self {
            Self::Matching(matching) => matching.note(&searched, run_id),
            Self::Numbered { .. } | Self::Last(_) => None,
        };
        Output {
            stdout,
            stderr,
            next_seq: stopped.unwrap_or(view.total()),
            redactions: view.redactions(),
            note,
            nothing: Some(match self {
                Self::Matching(_) => "no line matches",
                Self::Numbered { .. } | Self::Last(_) => "no such lines",
            }),
        }
    }

    fn of_stream(
        &self,
        view: &OutputView,
        stream: Stream,
        window: &Window,
        go_on: impl FnMut() -> bool,
    ) -> (Excerpt, Searched) {
        let mut picked = Picked { most: window.max_output * 2, ..Picked::default() };
        let mut searched = Searched::default();
        let after = window.after;
        match self {
            Self::Matching(matching) => {
                let mut matcher = Matcher::new(&matching.pattern, go_on);
                searched = search(view, stream, after, &mut matcher, |line| {
                    picked.add(&[format!("{}: ", line.number).as_bytes(), line.bytes]);
                });
            }
            Self::Numbered { first, last } => for_each_line(view, stream, after, |line| {
                if line.number >= *first && line.number <= *last {
                    picked.add(&[line.bytes]);
                }
                line.number < *last
            }),
            Self::Last(count) => {
                let total = view.lines_in_all(stream);
                for_each_line(view, stream, after, |line| {
                    if line.number.saturating_add(*count) > total {
                        picked.add(&[line.bytes]);
                    }
                    true
                });
            }
        }
        let excerpt = Excerpt { lost: view.dropped(stream, after), ..picked.into_excerpt() };
        (excerpt, searched)
    }
}

impl Matching {
    /// What was not looked at, and the calls that look at it.
    fn note(&self, searched: &[(Stream, Searched)], run_id: &str) -> Option<String> {
        let mut notes = Vec::new();
        for (stream, done) in searched {
            let stream = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            if let Some(seq) = done.stopped_at {
                let call = json!({
                    "run_id": run_id, "grep": self.text, "stream": stream, "after_seq": seq,
                });
                notes.push(format!(
                    "the search of {stream} ran out of time at position {seq}: go on with run_read \
                     {call}, or use a simpler pattern"
                ));
            }
            if done.partly > 0 {
                notes.push(format!(
                    "of {} long lines of {stream} only the beginning was searched, and nothing \
                     found in it",
                    done.partly
                ));
            }
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// Lines that were picked, as many as can be shown.
#[derive(Debug, Default)]
struct Picked {
    most: usize,
    bytes: Vec<u8>,
    lines: u64,
    total: u64,
}

impl Picked {
    fn add(&mut self, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|p| p.len()).sum::<usize>() + 1;
        self.lines += 1;
        self.total += length as u64;
        if self.bytes.len() + length <= self.most {
            parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
            self.bytes.push(b'\n');
        }
    }

    fn into_excerpt(self) -> Excerpt {
        let between = self.total - self.bytes.len() as u64;
        let captured = Captured {
            head: self.bytes,
            tail: Vec::new(),
            between,
            total_bytes: self.total,
            total_lines: self.lines,
        };
        Excerpt { captured, ..Excerpt::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_are_read_as_people_write_them() {
        let read = |text| match Selection::parse(None, Some(text)) {
            Ok(Some(Selection::Numbered { first, last })) => Some((first, last)),
            Ok(Some(Selection::Last(count))) => Some((0, count)),
            _ => None,
        };
        assert_eq!(
            (read("3-7"), read("3-"), read("3")),
            (Some((3, 7)), Some((3, u64::MAX)), Some((3, 3)))
        );
        assert_eq!((read("-10"), read(" 3 - 7 ")), (Some((0, 10)), Some((3, 7))));
        for wrong in ["", "-", "0-3", "7-3", "a-b", "1-2-3", "-0"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(matches!(Selection::parse(Some("("), None), Err(BadInput::Pattern(_))));
        assert!(matches!(Selection::parse(Some("a"), Some("1")), Err(BadInput::GrepAndLines)));
        assert!(matches!(
            Selection::parse(Some("(a{1000}){1000}"), None),
            Err(BadInput::Pattern(_))
        ));
    }
}
