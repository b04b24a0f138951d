//! The one file behind all spools: blocks of a fixed size, taken and given back.
//!
//! The file has no name from its first moment on, so nothing inside a sandbox can open it and
//! nothing is left of it when the server is killed.

use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Bytes in a block.
pub(super) const BLOCK: usize = 256 << 10;
/// Blocks in all: 1 GiB.
const CAPACITY: u32 = 4096;

/// The file and which of its blocks are free.
#[derive(Debug)]
pub(crate) struct Arena {
    folder: PathBuf,
    /// Made when the first block is taken: most servers never need it.
    file: OnceLock<File>,
    free: Mutex<Free>,
    used: AtomicUsize,
}

#[derive(Debug, Default)]
struct Free {
    returned: Vec<u32>,
    /// Blocks from here on were never used.
    fresh: u32,
}

/// A block of the file; given back when dropped.
#[derive(Debug)]
pub(super) struct Block {
    arena: Arc<Arena>,
    number: u32,
}

impl Arena {
    /// An empty arena whose file will be made in `folder`.
    pub(super) fn new(folder: PathBuf) -> Arc<Self> {
        let free = Mutex::default();
        Arc::new(Self { folder, file: OnceLock::new(), free, used: AtomicUsize::new(0) })
    }

    /// A block nobody uses; `None` if there is none or the disk is full.
    pub(super) fn take(self: &Arc<Self>) -> Option<Block> {
        self.file().ok()?;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match free.returned.pop() {
            Some(number) => number,
            None if free.fresh < CAPACITY => {
                free.fresh += 1;
                free.fresh - 1
            }
            None => return None,
        };
        self.used.fetch_add(1, Ordering::Relaxed);
        Some(Block { arena: Arc::clone(self), number })
    }

    /// Whether so much is used that finished runs should give up their output.
    pub(super) fn is_tight(&self) -> bool {
        self.used.load(Ordering::Relaxed) > CAPACITY as usize / 4 * 3
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let made = tempfile::tempfile_in(&self.folder)?;
        Ok(self.file.get_or_init(|| made))
    }
}

impl Block {
    /// Writes at `offset` of the block.
    pub(super) fn write(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        self.arena.file()?.write_all_at(bytes, self.start() + offset as u64)
    }

    /// Reads `length` bytes from `offset` of the block.
    pub(super) fn read(&self, offset: usize, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.arena.file()?.read_exact_at(&mut bytes, self.start() + offset as u64)?;
        Ok(bytes)
    }

    fn start(&self) -> u64 {
        u64::from(self.number) * BLOCK as u64
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let (Ok(file), Ok(start), Ok(length)) =
            (self.arena.file(), i64::try_from(self.start()), i64::try_from(BLOCK))
        {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            // Where holes are not supported the space is used again by the next block.
            let _kept = fallocate(file, hole, start, length);
        }
        let mut free = self.arena.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.returned.push(self.number);
        self.arena.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_apart_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let arena = Arena::new(folder.path().to_path_buf());
        let (a, b) = (arena.take().unwrap(), arena.take().unwrap());
        a.write(&[1; BLOCK], 0).unwrap();
        b.write(&[2; BLOCK], 0).unwrap();
        a.write(b"end", BLOCK - 3).unwrap();
        assert_eq!(a.read(BLOCK - 4, 4).unwrap(), b"\x01end");
        assert_eq!(b.read(0, BLOCK).unwrap(), [2; BLOCK]);
        assert_eq!(arena.used.load(Ordering::Relaxed), 2);
        drop(a);
        assert_eq!(arena.used.load(Ordering::Relaxed), 1);
        let again = arena.take().unwrap();
        assert_eq!(again.number, 0);
        // The file has no name.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_arena_ends_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let arena = Arena::new(folder.path().to_path_buf());
        let all: Vec<Block> = std::iter::from_fn(|| arena.take()).collect();
        assert_eq!(all.len(), CAPACITY as usize);
        assert!(arena.is_tight());
        drop(all);
        assert!(!arena.is_tight() && arena.take().is_some());
    }
}
