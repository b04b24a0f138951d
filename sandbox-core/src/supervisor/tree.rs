//! The processes of a run: found, ended, reaped.
//!
//! The supervisor is a subreaper, so whatever the command starts stays below it, however it
//! detaches.

use super::confine::SignalScope;
use crate::process_stat::ProcessStat;
use crate::sys;
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    Code(i32),
    Signal(i32),
}

/// Process time and memory of everything that was reaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) peak_rss_bytes: u64,
}

/// Every descendant that exists now, zombies included, nearest first.
pub(super) fn descendants() -> Vec<Pid> {
    let mut found = Vec::new();
    // Nothing ends it early.
    let _whole = each_descendant(|pid| {
        found.push(pid);
        ControlFlow::Continue(())
    });
    found
}

/// Goes through the descendants, for as long as `visit` wants more.
pub(super) fn each_descendant(mut visit: impl FnMut(Pid) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut seen = HashSet::new();
    let mut parents = vec![Pid::this()];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if seen.insert(child) {
                visit(child)?;
                parents.push(child);
            }
        }
    }
    ControlFlow::Continue(())
}

/// Children of all threads of a process (proc_pid_children(5)); none if it is gone.
#[must_use]
pub fn children(parent: Pid) -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| {
            line.split_whitespace()
                .filter_map(|p| p.parse().ok())
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Reaps whatever has ended. `true` while there are children left. Deaths of `leader` are told.
pub(super) fn reap(leader: Pid, death: &mut Option<Death>) -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == leader => *death = Some(Death::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == leader => {
                *death = Some(Death::Signal(signal as i32));
            }
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Every descendant that is alive, each pinned: whoever is signalled through the descriptor was a
/// descendant *after* it was opened, so a process id that is reused in between hits nobody.
fn pinned() -> Vec<(Pid, OwnedFd)> {
    let mut pinned: Vec<_> = descendants()
        .into_iter()
        .filter(|pid| !is_zombie(*pid))
        .filter_map(|pid| Some((pid, sys::open_pidfd(pid.as_raw()).ok()?)))
        .collect();
    if !pinned.is_empty() {
        let still: HashSet<Pid> = descendants().into_iter().collect();
        pinned.retain(|(pid, _)| still.contains(pid));
    }
    pinned
}

/// Sends a signal to every descendant.
pub(super) fn signal_all(signal: i32, scope: Option<&SignalScope>) {
    if let Some(scope) = scope {
        scope.signal_everybody(signal);
        return;
    }
    for (_, pidfd) in pinned() {
        let _already_gone = sys::signal_process(pidfd.as_fd(), signal, None);
    }
}

/// Sends a signal to a child that was not reaped yet, so that its number is still its own.
pub(super) fn signal_one(child: Pid, signal: i32) {
    if let Ok(pidfd) = sys::open_pidfd(child.as_raw()) {
        let _already_gone = sys::signal_process(pidfd.as_fd(), signal, None);
    }
}

/// Kills and reaps until nothing is left; how many processes outlived the first one.
///
/// At once where the kernel can: by a signal to everybody in the run's Landlock domain. Else
/// everything is stopped first: a stopped process forks no more, so each sweep
/// leaves fewer that could, and a process that was between fork and stop is found by the next one.
pub(super) fn kill_all(leader: Pid, death: &mut Option<Death>, scope: Option<&SignalScope>) -> u32 {
    const PAUSE: Duration = Duration::from_millis(1);
    /// Only uninterruptible sleep (a dead network file system) lasts this long.
    const GIVE_UP: Duration = Duration::from_secs(5);
    let started = Instant::now();
    let mut killed = HashSet::new();
    if let Some(scope) = scope {
        // One call, before anything is counted: what forks without end would leave no time for that.
        scope.signal_everybody(Signal::SIGSTOP as i32);
    }
    while reap(leader, death) && started.elapsed() < GIVE_UP {
        if killed.is_empty() {
            // Counted before anything dies.
            killed.extend(descendants().into_iter().filter(|pid| !is_zombie(*pid)));
        }
        match scope {
            Some(scope) => scope.signal_everybody(Signal::SIGKILL as i32),
            None => killed.extend(sweep()),
        }
        std::thread::sleep(PAUSE.min(started.elapsed() / 4));
    }
    killed.remove(&leader);
    u32::try_from(killed.len()).unwrap_or(u32::MAX)
}

/// Stops, then kills every descendant there is.
fn sweep() -> Vec<Pid> {
    let alive = pinned();
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for (_, pidfd) in &alive {
            let _already_dead = sys::signal_process(pidfd.as_fd(), signal as i32, None);
        }
    }
    alive.into_iter().map(|(pid, _)| pid).collect()
}

pub(super) fn is_zombie(pid: Pid) -> bool {
    matches!(ProcessStat::of(pid.as_raw()).and_then(|stat| stat.field(3)), Some('Z' | 'X'))
}

/// What the reaped processes used.
pub(super) fn usage() -> Usage {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Usage { cpu: Duration::ZERO, peak_rss_bytes: 0 };
    };
    let time = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec().unsigned_abs())
            + Duration::from_micros(t.tv_usec().unsigned_abs())
    };
    Usage {
        cpu: time(usage.user_time()) + time(usage.system_time()),
        // Kilobytes (getrusage(2)).
        peak_rss_bytes: usage.max_rss().unsigned_abs() * 1024,
    }
}
