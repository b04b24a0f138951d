//! A spool at one moment, for reading. Holds no lock: the run writes on meanwhile.

use super::arena::BLOCK;
use super::stored::Stored;
use super::switches::{Stream, Switch};
use std::ops::Range;

/// What was counted of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) bytes: u64,
    pub(super) newlines: u64,
    pub(super) ends_in_newline: bool,
    /// Bytes that were not kept.
    pub(super) dropped: u64,
}

/// What a spool had at one moment.
#[derive(Debug, Clone)]
pub(crate) struct OutputView {
    pub(super) stored: Stored,
    pub(super) total: u64,
    pub(super) switches: Vec<Switch>,
    pub(super) counts: [Count; 2],
    pub(super) redactions: u64,
}

/// Kept bytes of one stream that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where they start.
    pub(crate) seq: u64,
    /// How many there are; at most a block.
    pub(crate) length: usize,
}

impl Piece {
    fn end(&self) -> u64 {
        self.seq + self.length as u64
    }

    fn last(self, most: usize) -> Self {
        let length = self.length.min(most);
        Self { seq: self.end() - length as u64, length }
    }
}

/// A stream's head and tail, with counts of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
    /// Its last bytes, the head not included.
    pub(crate) tail: Vec<u8>,
    /// Bytes between head and tail.
    pub(crate) between: u64,
    /// Bytes in all.
    pub(crate) total_bytes: u64,
    /// Lines in all; an unfinished last one counts.
    pub(crate) total_lines: u64,
}

impl OutputView {
    /// The position behind the last byte.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Secrets that were taken out.
    pub(crate) fn redactions(&self) -> u64 {
        self.redactions
    }

    /// Whether all of it is here, and no file has to be read.
    pub(crate) fn in_memory(&self) -> bool {
        matches!(self.stored, Stored::Memory(_))
    }

    /// Kept: everything before the first position, and from the second on.
    fn bounds(&self) -> (u64, u64) {
        self.stored.bounds(self.total)
    }

    /// Whether bytes of the stream after `from` were not kept.
    pub(crate) fn dropped(&self, stream: Stream, from: u64) -> u64 {
        let (head_end, tail_start) = self.bounds();
        let gap = tail_start.saturating_sub(head_end.max(from));
        self.counts[stream as usize].dropped.min(gap)
    }

    /// Everything that is kept of a stream from `from` on, in order.
    pub(crate) fn pieces(&self, stream: Stream, from: u64) -> impl Iterator<Item = Piece> {
        let (head_end, tail_start) = self.bounds();
        let ends = self.switches.iter().skip(1).map(|s| s.at).chain([self.total]);
        let spans = self.switches.iter().zip(ends).filter(move |(s, _)| s.to == stream);
        spans.flat_map(move |(switch, end)| {
            let (start, end) = (switch.at.max(from), end);
            let parts = [(start, end.min(head_end)), (start.max(tail_start), end)];
            parts.into_iter().flat_map(|(start, end)| in_blocks(start, end))
        })
    }

    /// Whether bytes before the piece, and after the head, were not kept.
    pub(super) fn is_behind_gap(&self, piece: Piece) -> bool {
        let (head_end, tail_start) = self.bounds();
        tail_start > head_end && piece.seq >= tail_start
    }

    /// The number of the line that the first kept byte of the tail belongs to.
    pub(super) fn first_line_of_tail(&self, stream: Stream) -> u64 {
        let count = self.counts[stream as usize];
        let in_tail: u64 =
            self.pieces(stream, self.bounds().1).map(|p| newlines(&self.read(p))).sum();
        count.newlines - in_tail + 1
    }

    /// Bytes of one stream by their position in it, at most `most`.
    ///
    /// # Errors
    /// The range that was not kept, if `offset` lies in it.
    pub(crate) fn bytes(
        &self,
        stream: Stream,
        offset: u64,
        most: u64,
    ) -> Result<Vec<u8>, Range<u64>> {
        let dropped = self.dropped(stream, 0);
        let (mut at, mut bytes, mut behind_gap) = (0, Vec::new(), dropped == 0);
        for piece in self.pieces(stream, 0) {
            if !behind_gap && self.is_behind_gap(piece) {
                behind_gap = true;
                let gap = at..at + dropped;
                if gap.contains(&offset) {
                    return Err(gap);
                }
                at = gap.end;
                if !bytes.is_empty() {
                    break;
                }
            }
            let end = at + piece.length as u64;
            let wanted = offset.max(at)..end.min(offset.saturating_add(most));
            if let Ok(length) = usize::try_from(wanted.end.saturating_sub(wanted.start))
                && length > 0
            {
                let seq = piece.seq + (wanted.start - at);
                bytes.extend(self.read(Piece { seq, length }));
            }
            at = end;
        }
        // The stream may end with what was not kept.
        let gap = at..at + dropped;
        if !behind_gap && gap.contains(&offset) {
            return Err(gap);
        }
        Ok(bytes)
    }

    /// How many lines a stream has; an unfinished last one counts.
    pub(crate) fn lines_in_all(&self, stream: Stream) -> u64 {
        let count = self.counts[stream as usize];
        count.newlines + u64::from(count.bytes > 0 && !count.ends_in_newline)
    }

    /// How many lines of a stream end before `seq`.
    pub(crate) fn lines_before(&self, stream: Stream, seq: u64) -> u64 {
        if seq == 0 {
            return 0;
        }
        let count = self.counts[stream as usize];
        let after: u64 = self.pieces(stream, seq).map(|p| newlines(&self.read(p))).sum();
        count.newlines.saturating_sub(after)
    }

    /// The last bytes of both streams, at most `most`.
    pub(crate) fn last_bytes(&self, most: usize) -> Vec<u8> {
        let from = self.total.saturating_sub(most as u64);
        let mut pieces: Vec<Piece> =
            Stream::ALL.into_iter().flat_map(|stream| self.pieces(stream, from)).collect();
        pieces.sort_by_key(|piece| piece.seq);
        pieces.into_iter().flat_map(|piece| self.read(piece)).collect()
    }

    /// The bytes of a piece.
    pub(crate) fn read(&self, piece: Piece) -> Vec<u8> {
        self.stored.read(piece.seq, piece.length)
    }

    /// Head and tail of what a stream has from `from` on.
    pub(crate) fn capture(
        &self,
        stream: Stream,
        from: u64,
        most_head: usize,
        most_tail: usize,
    ) -> Captured {
        let pieces: Vec<Piece> = self.pieces(stream, from).collect();
        let kept: u64 = pieces.iter().map(|p| p.length as u64).sum();
        let dropped = self.dropped(stream, from);
        let whole = dropped == 0 && kept <= (most_head + most_tail) as u64;
        let (head_end, _) = self.bounds();
        let before_gap = |p: &&Piece| whole || dropped == 0 || p.seq < head_end;
        let most_head = if whole { usize::MAX } else { most_head };
        let head = self.first(pieces.iter().take_while(before_gap), most_head);
        let rest = kept - head.len() as u64;
        let most_tail = most_tail.min(usize::try_from(rest).unwrap_or(usize::MAX));
        let tail = self.last(&pieces, dropped, most_tail);
        let total_bytes = kept + dropped;
        Captured {
            between: total_bytes - (head.len() + tail.len()) as u64,
            total_lines: self.lines(stream, from, &pieces),
            total_bytes,
            head,
            tail,
        }
    }

    fn first<'p>(&self, pieces: impl Iterator<Item = &'p Piece>, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in pieces {
            let room = most - bytes.len();
            bytes.extend(self.read(Piece { length: piece.length.min(room), ..*piece }));
            if bytes.len() >= most {
                break;
            }
        }
        bytes
    }

    fn last(&self, pieces: &[Piece], dropped: u64, most: usize) -> Vec<u8> {
        let (_, tail_start) = self.bounds();
        let mut wanted = Vec::new();
        let mut room = most;
        let behind_gap = |p: &&Piece| dropped == 0 || p.seq >= tail_start;
        for piece in pieces.iter().rev().take_while(behind_gap) {
            if room == 0 {
                break;
            }
            let part = piece.last(room);
            room -= part.length;
            wanted.push(part);
        }
        wanted.into_iter().rev().flat_map(|piece| self.read(piece)).collect()
    }

    /// Lines from `from` on. For the whole stream they were counted as it was read.
    fn lines(&self, stream: Stream, from: u64, pieces: &[Piece]) -> u64 {
        let count = self.counts[stream as usize];
        if count.bytes == 0 || pieces.is_empty() && self.dropped(stream, from) == 0 {
            return 0;
        }
        let newlines = if from == 0 {
            count.newlines
        } else {
            pieces.iter().map(|p| newlines(&self.read(*p))).sum()
        };
        newlines + u64::from(!count.ends_in_newline)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// A range cut at the borders of blocks.
fn in_blocks(start: u64, end: u64) -> impl Iterator<Item = Piece> {
    let mut at = start;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let border = (at / BLOCK as u64 + 1) * BLOCK as u64;
        let length = usize::try_from(border.min(end) - at).ok()?;
        let piece = Piece { seq: at, length };
        at += length as u64;
        Some(piece)
    })
}
