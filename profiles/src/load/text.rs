//! The text of a profile: reading it, parsing it, places in it.

use jsonc_parser::ast::Value;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest profile that is read, in bytes. The largest anyone writes by hand is far below.
const MAX_BYTES: u64 = 1 << 20;
/// Deepest nesting that is parsed; the format itself needs five levels. The parser calls itself
/// for each level.
const MAX_DEPTH: usize = 32;

/// Whether symbolic links may lead to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// They may: the operator named it.
    Followed,
    /// No part of the path may be one: commands could have put it there, and messages quote what
    /// they are about.
    Refused,
}

/// Reads a regular file of bounded size as text.
pub(super) fn read(path: &Path, links: Links) -> io::Result<String> {
    // Without waiting: opening a pipe would hang until somebody writes to it.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let resolve = match links {
        Links::Followed => ResolveFlag::empty(),
        Links::Refused => ResolveFlag::RESOLVE_NO_SYMLINKS,
    };
    let how = OpenHow::new().flags(flags).resolve(resolve);
    let file = File::from(openat2(AT_FDCWD, path, how)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    let size = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if size as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Parses JSON with comments and trailing commas, and nothing else that is not JSON. The error is
/// an offset and a message.
pub(super) fn parse(text: &str) -> Result<Value<'_>, (usize, String)> {
    if let Some(at) = too_deep(text) {
        return Err((at, format!("nested more than {MAX_DEPTH} levels deep")));
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|e| (e.range().start, lower_first(&e.kind().to_string())))?;
    parsed.value.ok_or_else(|| (0, "the file is empty; the smallest profile is `{}`".to_owned()))
}

/// Where the nesting gets too deep. Brackets in strings and comments do not count.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', _) => {
                at += 1;
                while bytes.get(at).is_some_and(|b| *b != b'"') {
                    at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
                }
            }
            (b'/', Some(b'/')) => {
                while bytes.get(at).is_some_and(|b| *b != b'\n') {
                    at += 1;
                }
            }
            (b'/', Some(b'*')) => {
                let rest = text.get(at + 2..).unwrap_or_default();
                at += 2 + rest.find("*/").map_or(rest.len(), |end| end + 1);
            }
            (b'[' | b'{', _) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(at);
                }
            }
            (b']' | b'}', _) => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// A place in a text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    /// In characters.
    pub(super) column: u32,
}

/// Where the lines of a text start.
#[derive(Debug)]
pub(super) struct Newlines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Newlines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let starts = [0].into_iter().chain(after_newlines.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The place of byte `offset`.
    pub(super) fn position(&self, offset: usize) -> Position {
        let lines = self.starts.partition_point(|start| *start <= offset);
        let start = lines.checked_sub(1).and_then(|at| self.starts.get(at)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { line: number(lines), column: number(before.chars().count() + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_in_characters() {
        let lines = Newlines::of("ä{\n  é: 1\n}");
        for (offset, line, column) in [(0, 1, 1), (2, 1, 2), (4, 2, 1), (8, 2, 4), (12, 3, 1)] {
            assert_eq!(lines.position(offset), Position { line, column }, "{offset}");
        }
    }

    #[test]
    fn depth_is_bounded_and_only_brackets_count() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&deep(MAX_DEPTH)).is_ok());
        for text in [deep(MAX_DEPTH + 1), "[".repeat(1 << 19), "{\"a\":".repeat(1 << 17)] {
            assert!(parse(&text).unwrap_err().1.starts_with("nested more than"));
        }
        let quoted = format!("[\"{}\\\"[\", /* {} */ 1] // {}", deep(99), deep(99), deep(99));
        assert!(parse(&quoted).is_ok());
    }
}
