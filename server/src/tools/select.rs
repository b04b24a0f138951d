//! Lines picked out of a run's output, by number or by pattern.

use super::bad_input::BadInput;
use crate::report::{Excerpt, Output};
use crate::runs::{Captured, OutputView, Stream, for_each_line, for_each_match};
use crate::session::Wish;
use regex::bytes::{Regex, RegexBuilder};

/// Memory a pattern may take when compiled.
const MAX_PATTERN: usize = 1 << 20;

/// Which lines.
#[derive(Debug, Clone)]
pub(super) enum Selection {
    /// Those that match, with their numbers.
    Matching(Regex),
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

    fn matching(pattern: &str) -> Result<Self, BadInput> {
        RegexBuilder::new(pattern)
            .multi_line(true)
            .size_limit(MAX_PATTERN)
            .build()
            .map(Self::Matching)
            .map_err(|error| BadInput::Pattern(error.to_string()))
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

    /// The lines of both streams that are picked.
    pub(super) fn of(&self, view: &OutputView, wish: &Wish) -> Output {
        let of = |stream| {
            let wanted = wish.stream.is_none_or(|only| only == stream);
            if wanted { self.of_stream(view, stream, wish) } else { Excerpt::default() }
        };
        Output {
            stdout: of(Stream::Stdout),
            stderr: of(Stream::Stderr),
            next_seq: view.total(),
            redactions: view.redactions(),
        }
    }

    fn of_stream(&self, view: &OutputView, stream: Stream, wish: &Wish) -> Excerpt {
        let mut picked = Picked { most: wish.max_output * 2, ..Picked::default() };
        let after = wish.after;
        match self {
            Self::Matching(pattern) => for_each_match(view, stream, after, pattern, |line| {
                picked.add(&[format!("{}: ", line.number).as_bytes(), line.bytes]);
                true
            }),
            Self::Numbered { first, last } => for_each_line(view, stream, after, |line| {
                if line.number >= *first && line.number <= *last {
                    picked.add(&[line.bytes]);
                }
                line.number < *last
            }),
            Self::Last(count) => {
                let total = view.lines_in_all(stream);
                for_each_line(view, stream, after, |line| {
                    if line.number + count > total {
                        picked.add(&[line.bytes]);
                    }
                    true
                });
            }
        }
        Excerpt { lost: view.dropped(stream, after), ..picked.into_excerpt() }
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
