//! The output of one run: its first 4 MiB and its last 60 MiB, with true counts of the rest.
//!
//! Both streams lie in one sequence, in the order they were read; a position in it is a `seq`.
//! Small outputs stay in memory, larger ones move to blocks of the arena.

use super::arena::Arena;
use super::stored::{Blocks, IN_MEMORY, Stored};
use super::switches::{Stream, Switches};
use super::view::{Count, OutputView};
use std::sync::Arc;

/// The output of one run.
#[derive(Debug)]
pub(super) struct Spool {
    arena: Arc<Arena>,
    stored: Stored,
    book: Book,
    redactions: u64,
}

/// What is known of all bytes, kept or not.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The position behind the last one.
    pub(super) total: u64,
    pub(super) switches: Switches,
    counts: [Count; 2],
}

impl Book {
    fn count(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let count = &mut self.counts[stream as usize];
        count.bytes += bytes.len() as u64;
        count.newlines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        count.ends_in_newline = *last == b'\n';
        self.switches.push(self.total, stream);
    }

    /// Bytes of the tail are not kept any longer.
    pub(super) fn drop_of_tail(&mut self, from: u64, to: u64) {
        for (stream, bytes) in self.switches.forget_tail(from, to) {
            self.counts[stream as usize].dropped += bytes;
        }
    }

    /// Nothing is kept any longer.
    fn drop_all(&mut self) {
        self.switches.forget_all(self.total);
        for count in &mut self.counts {
            count.dropped = count.bytes;
        }
    }
}

impl Spool {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        let stored = Stored::Memory(Vec::new());
        Self { arena, stored, book: Book::default(), redactions: 0 }
    }

    /// The position behind the last byte.
    pub(super) fn total(&self) -> u64 {
        self.book.total
    }

    /// Adds what was read from a stream. Never fails: what cannot be kept is counted.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.book.count(stream, bytes);
        let Self { arena, stored, book, .. } = self;
        match stored {
            Stored::Memory(memory) if memory.len() + bytes.len() <= IN_MEMORY => {
                memory.extend_from_slice(bytes);
                book.total += bytes.len() as u64;
            }
            Stored::Memory(memory) => {
                let mut blocks = Blocks::default();
                book.total = 0;
                blocks.append(arena, book, memory);
                blocks.append(arena, book, bytes);
                *stored = Stored::Blocks(blocks);
            }
            Stored::Blocks(blocks) => {
                blocks.append(arena, book, bytes);
                if book.switches.are_many() {
                    blocks.thin_out(book);
                }
            }
        }
    }

    /// Counts secrets that were taken out of what was added.
    pub(super) fn redacted(&mut self, redactions: u64) {
        self.redactions += redactions;
    }

    /// Whether it takes room in the arena.
    pub(super) fn has_blocks(&self) -> bool {
        match &self.stored {
            Stored::Memory(_) => false,
            Stored::Blocks(blocks) => !blocks.is_empty(),
        }
    }

    /// Lets go of everything that is kept; the counts stay.
    pub(super) fn clear(&mut self) {
        self.book.drop_all();
        self.stored = Stored::Blocks(Blocks::none_of(self.book.total));
    }

    /// What is there now, to be read without holding anything up.
    pub(super) fn view(&self) -> OutputView {
        let Book { total, switches, counts } = &self.book;
        OutputView {
            stored: self.stored.clone(),
            total: *total,
            switches: switches.all(),
            counts: *counts,
            redactions: self.redactions,
        }
    }
}
