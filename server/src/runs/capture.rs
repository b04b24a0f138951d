//! A stream's head and tail in bounded memory, with true counts of the rest.

use std::collections::VecDeque;

/// Bytes kept from the beginning: a quarter of the longest answer.
const HEAD: usize = 64 << 10;
/// Bytes kept from the end: all of the longest answer.
const TAIL: usize = 256 << 10;

/// A stream while it is being read.
#[derive(Debug, Default)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    newlines: u64,
    ends_in_newline: bool,
}

/// A stream that has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
    /// Its last bytes, the head not included.
    pub(crate) tail: Vec<u8>,
    /// Bytes between head and tail that were not kept.
    pub(crate) dropped: u64,
    /// Bytes in all.
    pub(crate) total_bytes: u64,
    /// Lines in all; an unfinished last one counts.
    pub(crate) total_lines: u64,
}

impl Capture {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.total += bytes.len() as u64;
        self.newlines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
        self.ends_in_newline = *last == b'\n';
        let (to_head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(to_head);
        let rest = &rest[rest.len().saturating_sub(TAIL)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// What there is.
    pub(super) fn finish(self) -> Captured {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let unfinished = self.total > 0 && !self.ends_in_newline;
        Captured {
            dropped: self.total - kept,
            total_bytes: self.total,
            total_lines: self.newlines + u64::from(unfinished),
            head: self.head,
            tail: self.tail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(parts: &[&[u8]]) -> Captured {
        let mut capture = Capture::default();
        parts.iter().for_each(|p| capture.push(p));
        capture.finish()
    }

    #[test]
    fn short_streams_are_kept_whole() {
        let kept = capture(&[b"one\ntw", b"", b"o"]);
        assert_eq!(kept.head, b"one\ntwo");
        assert_eq!((kept.tail.len(), kept.dropped, kept.total_bytes), (0, 0, 7));
        assert_eq!(kept.total_lines, 2);
        assert_eq!(capture(&[]), Captured::default());
        assert_eq!(capture(&[b"a\n"]).total_lines, 1);
    }

    #[test]
    fn long_streams_keep_both_ends_however_they_are_cut() {
        let stream: Vec<u8> = (0..900_000u32).map(|n| n.to_le_bytes()[0] ^ 7).collect();
        let whole = capture(&[&stream]);
        for size in [1_000, 65_536, 300_000] {
            assert_eq!(capture(&stream.chunks(size).collect::<Vec<_>>()), whole, "{size}");
        }
        assert_eq!(whole.head, stream[..HEAD]);
        assert_eq!(whole.tail, stream[stream.len() - TAIL..]);
        assert_eq!(whole.dropped, (stream.len() - HEAD - TAIL) as u64);
    }
}
