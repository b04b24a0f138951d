//! What a run has written so far, shared by those who read its pipes and those who answer calls.

use super::arena::Arena;
use super::spool::Spool;
use super::switches::Stream;
use super::view::OutputView;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Writes of this size and more may wait for a disk.
const LARGE: usize = 32 << 10;

/// The output of a run.
#[derive(Debug)]
pub(crate) struct Output {
    spool: Mutex<Spool>,
    /// The position behind the last byte.
    total: watch::Sender<u64>,
}

impl Output {
    pub(super) fn new(arena: Arc<Arena>) -> Arc<Self> {
        Arc::new(Self { spool: Mutex::new(Spool::new(arena)), total: watch::Sender::new(0) })
    }

    /// Adds what was read, with so many secrets taken out of it; how much there is now.
    pub(super) fn push(&self, stream: Stream, bytes: &[u8], redactions: u64) -> u64 {
        let push = || {
            let mut spool = self.lock();
            spool.push(stream, bytes);
            spool.redacted(redactions);
            spool.total()
        };
        let total = if bytes.len() >= LARGE { tokio::task::block_in_place(push) } else { push() };
        self.total.send_replace(total);
        total
    }

    /// What there is, to be read at leisure.
    pub(crate) fn view(&self) -> OutputView {
        self.lock().view()
    }

    /// Whether it takes room in the arena.
    pub(super) fn has_blocks(&self) -> bool {
        self.lock().has_blocks()
    }

    /// Follows how much there is.
    pub(crate) fn total(&self) -> watch::Receiver<u64> {
        self.total.subscribe()
    }

    /// Lets go of everything but the counts.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
