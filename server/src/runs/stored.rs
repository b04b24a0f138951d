//! Where the bytes of a run's output are: in memory, or in blocks of the arena.

use super::arena::{Arena, BLOCK, Block};
use super::spool::Book;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Bytes kept in memory before blocks are used.
pub(super) const IN_MEMORY: usize = 64 << 10;
/// Blocks kept from the beginning: 4 MiB.
const HEAD_BLOCKS: u64 = 16;
/// Blocks kept from the end: 60 MiB.
const TAIL_BLOCKS: usize = 240;

/// What is kept. A clone shares the blocks.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// Everything.
    Memory(Vec<u8>),
    /// What blocks have room for.
    Blocks(Blocks),
}

/// A beginning, and an end once there is more than that.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    /// From the first byte on.
    head: Vec<Arc<Block>>,
    tail: Option<Tail>,
}

/// The end of an output whose beginning is full.
#[derive(Debug, Clone)]
struct Tail {
    /// Where the head has ended. What lies from here to `start` was dropped.
    head_end: u64,
    /// From here on bytes are kept.
    start: u64,
    /// The first holds `start`.
    blocks: VecDeque<Arc<Block>>,
}

impl Stored {
    /// Kept, of so many bytes: everything before the first position, and from the second on.
    pub(super) fn bounds(&self, total: u64) -> (u64, u64) {
        match self {
            Self::Blocks(Blocks { tail: Some(tail), .. }) => (tail.head_end, tail.start),
            Self::Memory(_) | Self::Blocks(Blocks { tail: None, .. }) => (total, total),
        }
    }

    /// Bytes that are kept and in one block.
    pub(super) fn read(&self, seq: u64, length: usize) -> Vec<u8> {
        let blocks = match self {
            Self::Memory(memory) => {
                let start = usize::try_from(seq).unwrap_or(usize::MAX);
                let end = start.saturating_add(length);
                return memory.get(start..end).unwrap_or_default().to_vec();
            }
            Self::Blocks(blocks) => blocks,
        };
        let number = seq / BLOCK as u64;
        let block = match &blocks.tail {
            Some(tail) if seq >= tail.head_end => {
                let index = number.checked_sub(tail.first()).and_then(|n| usize::try_from(n).ok());
                index.and_then(|index| tail.blocks.get(index))
            }
            _ => usize::try_from(number).ok().and_then(|index| blocks.head.get(index)),
        };
        // A disk that fails: bytes are missing, and the run and its other output are not.
        block.and_then(|block| block.read(offset(seq), length).ok()).unwrap_or_default()
    }
}

impl Blocks {
    /// Nothing of so many bytes.
    pub(super) fn none_of(total: u64) -> Self {
        let tail = Tail { head_end: 0, start: total, blocks: VecDeque::new() };
        Self { head: Vec::new(), tail: Some(tail) }
    }

    /// Whether it takes room in the arena.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.as_ref().is_none_or(|tail| tail.blocks.is_empty())
    }

    /// Adds bytes behind all others. What cannot be kept is counted.
    pub(super) fn append(&mut self, arena: &Arc<Arena>, book: &mut Book, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = offset(book.total);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - offset));
            let end = book.total + now.len() as u64;
            if self.store(arena, book, now, offset).is_err() {
                // The disk is full. What follows may find room again.
                let tail = self.tail(book);
                tail.blocks.clear();
                tail.drop_until(book, end);
            }
            book.total = end;
            bytes = later;
        }
    }

    fn store(
        &mut self,
        arena: &Arc<Arena>,
        book: &mut Book,
        bytes: &[u8],
        offset: usize,
    ) -> io::Result<()> {
        let number = book.total / BLOCK as u64;
        if self.tail.is_none() && number < HEAD_BLOCKS {
            if self.head.len() as u64 == number {
                self.head.push(Arc::new(arena.take().ok_or(io::ErrorKind::StorageFull)?));
            }
            let block = self.head.last().ok_or(io::ErrorKind::StorageFull)?;
            return block.write(bytes, offset);
        }
        let tail = self.tail(book);
        if number - tail.first() == tail.blocks.len() as u64 {
            let block = tail.next_block(arena, book).ok_or(io::ErrorKind::StorageFull)?;
            tail.blocks.push_back(block);
        }
        tail.blocks.back().ok_or(io::ErrorKind::StorageFull)?.write(bytes, offset)
    }

    /// What is behind the head, which ends with what there is now if it has not yet.
    fn tail(&mut self, book: &mut Book) -> &mut Tail {
        self.tail.get_or_insert_with(|| {
            let end = book.total;
            book.switches.close_head(end);
            Tail { head_end: end, start: end, blocks: VecDeque::new() }
        })
    }

    /// A program that writes to both streams in turns, byte by byte, could make the list of turns
    /// larger than the output. The older half is dropped, with its bytes.
    pub(super) fn thin_out(&mut self, book: &mut Book) {
        let tail = self.tail(book);
        let Some(start) = book.switches.middle_of_tail() else { return };
        for _ in tail.first()..start / BLOCK as u64 {
            tail.blocks.pop_front();
        }
        tail.drop_until(book, start);
    }
}

impl Tail {
    /// The number of the first block.
    fn first(&self) -> u64 {
        self.start / BLOCK as u64
    }

    /// A new block, or the oldest once there is no room for more.
    fn next_block(&mut self, arena: &Arc<Arena>, book: &mut Book) -> Option<Arc<Block>> {
        if self.blocks.len() < TAIL_BLOCKS
            && let Some(block) = arena.take()
        {
            return Some(Arc::new(block));
        }
        let oldest = self.blocks.pop_front()?;
        self.drop_until(book, (self.first() + 1) * BLOCK as u64);
        // Unless somebody is reading it.
        if Arc::strong_count(&oldest) == 1 { Some(oldest) } else { arena.take().map(Arc::new) }
    }

    /// Counts what it had before `start` as dropped.
    fn drop_until(&mut self, book: &mut Book, start: u64) {
        if start > self.start {
            book.drop_of_tail(self.start, start);
            self.start = start;
        }
    }
}

/// Where a position is in its block.
fn offset(seq: u64) -> usize {
    usize::try_from(seq % BLOCK as u64).unwrap_or(0)
}
