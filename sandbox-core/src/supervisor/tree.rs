//! The processes of a run: found and ended.
//!
//! The supervisor is a subreaper, so whatever the command starts stays below it, however it
//! detaches.

use super::confine::SignalScope;
use super::reap::{Death, Left, reap, reap_groups, reap_stopped};
use crate::process_stat::ProcessStat;
use crate::sys;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Process time and memory of everything that was reaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) peak_rss_bytes: u64,
}

/// How long the tree may be walked through by whoever has more to do: one that makes processes
/// faster than they can be looked at has no end.
const WALK: Duration = Duration::from_millis(250);

/// Every descendant that exists now, zombies included, nearest first.
pub(super) fn descendants() -> Vec<Pid> {
    descendants_until(None, |_| true)
}

/// Every descendant that is alive now, nearest first; of too many, those that are found in time.
pub(super) fn alive() -> Vec<Pid> {
    descendants_until(Some(Instant::now() + WALK), |pid| !is_zombie(pid))
}

fn descendants_until(end: Option<Instant>, wanted: impl Fn(Pid) -> bool) -> Vec<Pid> {
    let mut found = Vec::new();
    let _late = each_descendant(|pid| {
        if wanted(pid) {
            found.push(pid);
        }
        match end {
            Some(end) if Instant::now() > end => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
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

/// Whether a task is of a process below this one.
pub(super) fn is_descendant(task: i32) -> bool {
    /// A line that is too long to be followed, or changes each time, is looked for from this end.
    const TRIES: usize = 4;
    let parent = |task: i32| ProcessStat::of(task).and_then(|stat| stat.parent());
    let followed = (0..TRIES).find_map(|_| descends(task, Pid::this().as_raw(), parent));
    followed.unwrap_or_else(|| descendants().contains(&Pid::from_raw(task)))
}

/// Whether `ancestor` is above `task`; `None` if that cannot be told from one look.
///
/// A number on the way up may have become another process's by the time its own parent is asked for,
/// and the rest of the line be a stranger's. So the line is asked once more, from above down to the
/// task. A parent that ends hands its children over before its number is free, and nobody who comes
/// later can be their parent. What has the same parent both times has thus had it all the while, and
/// what was asked of the parent in between was asked of that very process.
fn descends(task: i32, ancestor: i32, parent: impl Fn(i32) -> Option<i32>) -> Option<bool> {
    /// Levels that are followed.
    const MOST: usize = 1024;
    let mut line = vec![task];
    let below = loop {
        let above = match parent(*line.last()?) {
            Some(above) => above,
            None if line.len() == 1 => return Some(false),
            None => return None,
        };
        line.push(above);
        match above {
            above if above == ancestor => break true,
            // Above the first process, or where no number leads to.
            0 => break false,
            _ if line.len() > MOST => return None,
            _ => {}
        }
    };
    let stays = |link: &[i32]| matches!(link, [of, is] if parent(*of) == Some(*is));
    line.windows(2).rev().all(stays).then_some(below)
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

/// Every descendant that is alive, each pinned: whoever is signalled through the descriptor was a
/// descendant *after* it was opened, so a process id that is reused in between hits nobody.
fn pinned() -> Vec<(Pid, OwnedFd)> {
    let mut pinned: Vec<_> = alive()
        .into_iter()
        .filter_map(|pid| Some((pid, sys::open_pidfd(pid.as_raw()).ok()?)))
        .collect();
    if !pinned.is_empty() {
        let still = descendants_until(Some(Instant::now() + WALK), |_| true);
        let still: HashSet<Pid> = still.into_iter().collect();
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
    if let Some(scope) = scope {
        // One call, before anything is counted: what forks without end would leave no time for that.
        scope.signal_everybody(Signal::SIGSTOP as i32);
    }
    let left = match scope {
        Some(_) => reap_stopped(leader, death),
        None => reap(leader, death),
    };
    // Counted before anything dies.
    let mut killed: HashSet<Pid> = match left {
        Left::Nobody => return 0,
        Left::Alive => alive().into_iter().collect(),
        // To look at all who end meanwhile takes longer than their end.
        Left::More => HashSet::new(),
    };
    while started.elapsed() < GIVE_UP {
        let left = match scope {
            Some(scope) => {
                scope.signal_everybody(Signal::SIGKILL as i32);
                reap(leader, death)
            }
            None => reap_groups(leader, death),
        };
        if scope.is_none() && left == Left::Alive {
            killed.extend(sweep());
        }
        match left {
            Left::Nobody => break,
            Left::Alive => std::thread::sleep(PAUSE.min(started.elapsed() / 4)),
            Left::More => {}
        }
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

fn is_zombie(pid: Pid) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    const OWN: i32 = 10;

    /// 10 below 1 has the children 20 and 21, and 30 below 20; 40 is somebody else's.
    fn parents() -> HashMap<i32, i32> {
        HashMap::from([(1, 0), (10, 1), (20, 10), (21, 10), (30, 20), (40, 1)])
    }

    #[test]
    fn what_is_below_is_told_from_what_is_not() {
        let asked = Cell::new(0);
        let parent = |task: i32| {
            asked.set(asked.get() + 1);
            parents().get(&task).copied()
        };
        for (task, below) in [(20, true), (21, true), (30, true), (40, false), (1, false)] {
            assert_eq!(descends(task, OWN, parent), Some(below), "{task}");
        }
        assert_eq!(descends(OWN, OWN, parent), Some(false), "not of itself");
        assert_eq!(descends(99, OWN, parent), Some(false), "nobody");
        asked.set(0);
        assert_eq!((descends(30, OWN, parent), asked.get()), (Some(true), 4), "its own line alone");
    }

    /// 40's parent 50 ends after it was named, and its number becomes that of a process below.
    #[test]
    fn a_number_that_is_reused_on_the_way_up_leads_nowhere() {
        let now = RefCell::new(parents());
        now.borrow_mut().extend([(40, 50), (50, 1)]);
        let parent = |task: i32| {
            let found = now.borrow().get(&task).copied();
            if task == 40 {
                now.borrow_mut().extend([(40, 1), (50, 20)]);
            }
            found
        };
        assert_eq!(descends(40, OWN, parent), None);
        assert_eq!(descends(40, OWN, parent), Some(false));
    }

    #[test]
    fn one_that_is_handed_over_meanwhile_is_asked_again() {
        let now = RefCell::new(parents());
        let parent = |task: i32| {
            let found = now.borrow().get(&task).copied();
            if task == 30 {
                now.borrow_mut().insert(30, OWN);
                now.borrow_mut().remove(&20);
            }
            found
        };
        assert_eq!(descends(30, OWN, parent), None);
        assert_eq!(descends(30, OWN, parent), Some(true));
    }

    #[test]
    fn a_line_without_an_end_is_not_followed_for_ever() {
        assert_eq!(descends(2, OWN, |task| Some(if task == 2 { 3 } else { 2 })), None);
    }

    #[test]
    fn real_processes_have_their_places() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id().cast_signed();
        assert!(is_descendant(pid));
        child.kill().unwrap();
        assert!(is_descendant(pid), "not waited for yet");
        child.wait().unwrap();
        assert!(!is_descendant(pid));
        assert!(!is_descendant(Pid::this().as_raw()) && !is_descendant(Pid::parent().as_raw()));
    }
}
