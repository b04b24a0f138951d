//! Which of this process's children are supervisors; all others are orphans of a lost run.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use nono_sandbox::supervisor::{children, end_group_of};
use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::Child;

/// Rounds of killing, a pause after each: killing a process makes its children ours.
const ROUNDS: usize = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// The supervisors that live.
#[derive(Debug, Default)]
pub(super) struct Family {
    supervisors: Mutex<HashSet<i32>>,
    /// Held by who kills orphans. They are reaped by nobody else, so that a process id is an
    /// orphan's until then.
    killing: Mutex<()>,
}

impl Family {
    /// Starts a supervisor and remembers it, in one step as far as [`Self::kill_orphans`] can see.
    ///
    /// # Errors
    /// Whatever `start` says.
    pub(super) fn adopt(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let mut supervisors = lock(&self.supervisors);
        let child = start()?;
        supervisors.extend(child.id().and_then(|pid| i32::try_from(pid).ok()));
        Ok(child)
    }

    /// Forgets a supervisor that has been reaped.
    pub(super) fn forget(&self, pid: Option<u32>) {
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            lock(&self.supervisors).remove(&pid);
        }
    }

    /// Kills and reaps every child that is not a supervisor, until there is none.
    pub(super) async fn kill_orphans(&self) {
        for _ in 0..ROUNDS {
            // Looks through as many processes as a run has left.
            if tokio::task::block_in_place(|| self.kill_once()) == 0 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::error!("processes of a lost run could not be killed");
    }

    /// One round; says how many there were.
    fn kill_once(&self) -> usize {
        let _alone = lock(&self.killing);
        let orphans = self.orphans();
        // What is stopped forks no more, so each round leaves fewer that could.
        for pid in orphans.iter().copied() {
            let _gone = kill(pid, Signal::SIGSTOP);
        }
        for pid in orphans.iter().copied() {
            // What forks and exits is gone before it is stopped: what it left has its group.
            end_group_of(pid);
            // Both may fail because the process is gone or not dead yet; the next round looks.
            let killed = kill(pid, Signal::SIGKILL);
            let reaped = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            tracing::debug!(%pid, ?killed, ?reaped, "orphan of a lost run");
        }
        orphans.len()
    }

    /// All children but the supervisors. The lock is held for as long as both are looked at, and
    /// no longer: runs that start wait for it.
    fn orphans(&self) -> Vec<Pid> {
        let supervisors = lock(&self.supervisors);
        // Not from a look at everybody, of whom there may be thousands when it matters.
        let mut orphans = children(Pid::this());
        orphans.retain(|pid| !supervisors.contains(&pid.as_raw()));
        orphans
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
