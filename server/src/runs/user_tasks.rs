//! How many processes and threads this user has, as far as that can be known cheaply.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// After this time a count is made again, after the start of the next run.
const FRESH: Duration = Duration::from_secs(2);
/// How long after that: most runs are over by then.
const LATER: Duration = Duration::from_millis(50);
/// What other programs of the user may start while a run goes on.
const ROOM: u64 = 1024;

/// A count that is not older than the run before.
#[derive(Debug)]
pub(super) struct UserTasks(Arc<Mutex<Counted>>);

#[derive(Debug)]
struct Counted {
    tasks: u64,
    at: Instant,
}

impl UserTasks {
    /// Counts.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Counted { tasks: count(), at: Instant::now() })))
    }

    /// A limit for the whole user that leaves a run `own` tasks.
    pub(super) fn limit(&self, own: u32) -> u64 {
        let mut counted = lock(&self.0);
        if counted.at.elapsed() >= FRESH {
            counted.at = Instant::now();
            let shared = Arc::clone(&self.0);
            // Takes milliseconds, so not on the way of a run, nor beside the start of one.
            tokio::spawn(async move {
                tokio::time::sleep(LATER).await;
                tokio::task::spawn_blocking(move || {
                    let tasks = count();
                    lock(&shared).tasks = tasks;
                });
            });
        }
        counted.tasks + u64::from(own) + ROOM
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads of all processes of this user.
fn count() -> u64 {
    let me = nix::unistd::geteuid().as_raw();
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    entries
        .flatten()
        .filter(|e| e.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        .filter(|e| e.metadata().is_ok_and(|m| m.uid() == me))
        .filter_map(|e| fs::read_dir(e.path().join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_counted_with_its_threads() {
        let threads: Vec<_> = (0..50).map(|_| std::thread::spawn(std::thread::park)).collect();
        assert!(count() >= 51);
        threads.iter().for_each(|t| t.thread().unpark());
    }
}
