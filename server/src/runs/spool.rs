//! The output of one run: its first 4 MiB and its last 60 MiB, with true counts of the rest.
//!
//! Both streams lie in one sequence, in the order they were read; a position in it is a `seq`.
//! Small outputs stay in memory, larger ones move to blocks of the arena.

use super::arena::{Arena, BLOCK, Block};
use super::switches::{Stream, Switches};
use super::view::{Count, OutputView};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Bytes kept in memory before blocks are used.
const IN_MEMORY: usize = 64 << 10;
/// Blocks kept from the beginning: 4 MiB.
const HEAD_BLOCKS: u64 = 16;
/// Blocks kept from the end: 60 MiB.
const TAIL_BLOCKS: usize = 240;

/// The output of one run.
#[derive(Debug)]
pub(super) struct Spool {
    arena: Arc<Arena>,
    /// Everything, as long as there are no blocks.
    memory: Vec<u8>,
    /// Blocks from the first byte on.
    head: Vec<Arc<Block>>,
    /// Where the head ends, once it has.
    head_end: Option<u64>,
    /// Blocks behind the head; the first has the number `tail_first`.
    tail: VecDeque<Arc<Block>>,
    tail_first: u64,
    /// From here on bytes are in the tail.
    tail_start: u64,
    switches: Switches,
    counts: [Count; 2],
    redactions: u64,
    total: u64,
}

impl Spool {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        Self {
            arena,
            memory: Vec::new(),
            head: Vec::new(),
            head_end: None,
            tail: VecDeque::new(),
            tail_first: 0,
            tail_start: 0,
            switches: Switches::default(),
            counts: [Count::default(); 2],
            redactions: 0,
            total: 0,
        }
    }

    /// The position behind the last byte.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Adds what was read from a stream. Never fails: what cannot be kept is counted.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let count = &mut self.counts[stream as usize];
        count.bytes += bytes.len() as u64;
        count.newlines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        count.ends_in_newline = *last == b'\n';
        self.switches.push(self.total, stream);
        if self.head.is_empty() && self.head_end.is_none() {
            if self.memory.len() + bytes.len() <= IN_MEMORY {
                self.memory.extend_from_slice(bytes);
                self.total += bytes.len() as u64;
                return;
            }
            self.total = 0;
            let memory = std::mem::take(&mut self.memory);
            self.append(&memory);
        }
        self.append(bytes);
        if self.switches.are_many() {
            self.thin_out();
        }
    }

    /// Counts secrets that were taken out of what was added.
    pub(super) fn redacted(&mut self, redactions: u64) {
        self.redactions += redactions;
    }

    /// Whether it takes room in the arena.
    pub(super) fn has_blocks(&self) -> bool {
        !(self.head.is_empty() && self.tail.is_empty())
    }

    /// Lets go of everything that is kept; the counts stay.
    pub(super) fn clear(&mut self) {
        self.close_head_at(0);
        self.memory = Vec::new();
        self.head = Vec::new();
        self.start_tail_at(self.total);
    }

    /// What is there now, to be read without holding anything up.
    pub(super) fn view(&self) -> OutputView {
        let in_memory = self.head.is_empty() && self.head_end.is_none();
        OutputView {
            memory: self.memory.clone(),
            head: self.head.clone(),
            tail: self.tail.iter().cloned().collect(),
            tail_first: self.tail_first,
            head_end: self.head_end.unwrap_or(self.total),
            tail_start: if self.head_end.is_some() { self.tail_start } else { self.total },
            total: self.total,
            switches: self.switches.all(),
            counts: self.counts,
            redactions: self.redactions,
            in_memory,
        }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = usize::try_from(self.total % BLOCK as u64).unwrap_or(0);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - offset));
            let end = self.total + now.len() as u64;
            if self.store(now, offset).is_err() {
                // The disk is full. What follows may find room again.
                self.close_head_at(self.total);
                self.start_tail_at(end);
            }
            self.total = end;
            bytes = later;
        }
    }

    fn store(&mut self, bytes: &[u8], offset: usize) -> io::Result<()> {
        let number = self.total / BLOCK as u64;
        if self.head_end.is_none() && number < HEAD_BLOCKS {
            if self.head.len() as u64 == number {
                self.head.push(Arc::new(self.arena.take().ok_or(io::ErrorKind::StorageFull)?));
            }
            let block = self.head.last().ok_or(io::ErrorKind::StorageFull)?;
            return block.write(bytes, offset);
        }
        self.close_head_at(self.total);
        if self.tail.is_empty() {
            self.tail_first = number;
        }
        if number - self.tail_first == self.tail.len() as u64 {
            let block = self.next_block().ok_or(io::ErrorKind::StorageFull)?;
            if self.tail.is_empty() {
                self.tail_first = number;
            }
            self.tail.push_back(block);
        }
        self.tail.back().ok_or(io::ErrorKind::StorageFull)?.write(bytes, offset)
    }

    /// A new block, or the oldest of the tail once there is no room for more.
    fn next_block(&mut self) -> Option<Arc<Block>> {
        if self.tail.len() < TAIL_BLOCKS
            && let Some(block) = self.arena.take()
        {
            return Some(Arc::new(block));
        }
        let oldest = self.tail.pop_front()?;
        self.tail_first += 1;
        self.drop_until(self.tail_first * BLOCK as u64);
        // Unless somebody is reading it.
        if Arc::strong_count(&oldest) == 1 { Some(oldest) } else { self.arena.take().map(Arc::new) }
    }

    /// The head is whatever it has now.
    fn close_head_at(&mut self, end: u64) {
        if self.head_end.is_none() {
            self.head_end = Some(end);
            self.tail_start = end;
            self.switches.close_head(end);
        }
    }

    /// Lets go of the whole tail.
    fn start_tail_at(&mut self, start: u64) {
        self.tail.clear();
        self.drop_until(start);
    }

    /// Counts what the tail had before `start` as dropped.
    fn drop_until(&mut self, start: u64) {
        if start <= self.tail_start {
            return;
        }
        for (stream, bytes) in self.switches.forget_tail(self.tail_start, start) {
            self.counts[stream as usize].dropped += bytes;
        }
        self.tail_start = start;
    }

    /// A program that writes to both streams in turns, byte by byte, could make the list of turns
    /// larger than the output. The older half is dropped, with its bytes.
    fn thin_out(&mut self) {
        self.close_head_at(self.total);
        let Some(start) = self.switches.middle_of_tail() else { return };
        let first = start / BLOCK as u64;
        while self.tail_first < first && self.tail.pop_front().is_some() {
            self.tail_first += 1;
        }
        self.drop_until(start);
    }
}
