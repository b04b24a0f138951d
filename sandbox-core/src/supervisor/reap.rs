//! Reaping, a bounded number at a time.
//!
//! Processes that do nothing but fork and exit end faster than they can be reaped: whoever reaps for
//! as long as there is somebody to reap does nothing else any more.

use crate::process_stat::ProcessStat;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgrp, getsid};

/// Processes reaped in one go. A few hundred microseconds.
const AT_ONCE: usize = 256;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    Code(i32),
    Signal(i32),
}

/// What is left of a tree after some of it was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nobody.
    Nobody,
    /// Somebody, and whoever ends from now on makes a signal.
    Alive,
    /// Perhaps somebody, and perhaps more to reap, whose signals are gone.
    More,
}

/// Reaps of what has ended as much as goes at once. The death of `leader` is told.
pub(super) fn reap(leader: Pid, death: &mut Option<Death>) -> Left {
    let left = (0..AT_ONCE).find_map(|_| reap_one(None, leader, death));
    left.unwrap_or(Left::More)
}

/// Reaps all that has ended, of a tree that is stopped, so that nothing is added.
pub(super) fn reap_stopped(leader: Pid, death: &mut Option<Death>) -> Left {
    /// More than there can be, and an end where processes of the tree continue one another.
    const TIMES: usize = 200;
    let left = (0..TIMES).map(|_| reap(leader, death)).find(|left| *left != Left::More);
    left.unwrap_or(Left::More)
}

/// As [`reap`], but some of those that have ended take their process groups with them: what forks and
/// exits is gone before a signal finds it, and its child is mostly in the same group.
pub(super) fn reap_groups(leader: Pid, death: &mut Option<Death>) -> Left {
    /// Not all: those of one group are many, and to look at one takes longer than to reap ten.
    const LOOKED_AT: usize = 32;
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    for _ in 0..LOOKED_AT {
        let ended = waitid(Id::All, look).ok().and_then(|status| status.pid());
        ended.into_iter().for_each(end_group_of);
        if let Some(left) = reap_one(ended, leader, death) {
            return left;
        }
    }
    reap(leader, death)
}

/// Reaps one child, or this one. `Some`: there was nothing to reap.
fn reap_one(child: Option<Pid>, leader: Pid, death: &mut Option<Death>) -> Option<Left> {
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(pid, code)) if pid == leader => *death = Some(Death::Code(code)),
        Ok(WaitStatus::Signaled(pid, signal, _)) if pid == leader => {
            *death = Some(Death::Signal(signal as i32));
        }
        Ok(WaitStatus::StillAlive) => return Some(Left::Alive),
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return Some(Left::Nobody),
    }
    None
}

/// Kills the process group of a child that has ended, by one call that no fork gets past. Does
/// nothing for one that lives.
///
/// `child` must not have been reaped: it keeps its group's number from being given to anybody else,
/// and having ended it is in no other group later.
pub fn end_group_of(child: Pid) {
    let Some(stat) = ProcessStat::of(child.as_raw()) else { return };
    let ended = stat.field::<char>(3) == Some('Z');
    let (group, session) = (stat.field::<i32>(5), stat.field::<i32>(6));
    let Ok(own_session) = getsid(None) else { return };
    let own = (getpgrp().as_raw(), own_session.as_raw());
    if let (true, Some(group), Some(session)) = (ended, group, session)
        && is_anothers((group, session), own)
    {
        let _nobody_left = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Whether a process group, named with its session, is one and not this process's own, nor in its
/// session: a command is in a session of its own, so whatever it makes is in that one or in newer ones.
fn is_anothers((group, session): (i32, i32), own: (i32, i32)) -> bool {
    // A signal to group 1 is one to everybody, and one to 0 to this process's own (kill(2)).
    group > 1 && group != own.0 && session != own.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    #[test]
    fn neither_everybody_nor_oneself_is_a_group_to_end() {
        let own = (20, 10);
        for (group, session) in [(1, 30), (0, 30), (-1, 30), (20, 30), (20, 10), (21, 10)] {
            assert!(!is_anothers((group, session), own), "{group} in {session}");
        }
        assert!(is_anothers((30, 30), own) && is_anothers((31, 30), own));
    }

    fn in_group(group: i32, program: &[&str]) -> Child {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).process_group(group).spawn().unwrap()
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id().cast_signed())
    }

    /// Without reaping it.
    fn ended(child: &Child) {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(pid(child)), look).unwrap();
    }

    #[test]
    fn a_group_in_this_processs_session_is_left_alone() {
        let mut first = in_group(0, &["true"]);
        let mut second = in_group(first.id().cast_signed(), &["sleep", "60"]);
        ended(&first);
        end_group_of(pid(&first));
        assert!(second.try_wait().unwrap().is_none());
        second.kill().unwrap();
        second.wait().unwrap();
        first.wait().unwrap();
    }

    #[test]
    fn who_has_ended_takes_its_group_with_it_and_who_lives_does_not() {
        // A session whose second process would stay, and holds the pipe.
        let mut first = Command::new("setsid")
            .args(["sh", "-c", "sleep 60 & echo begun; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(first.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        end_group_of(pid(&first));
        assert!(first.try_wait().unwrap().is_none(), "it lives");
        drop(first.stdin.take());
        ended(&first);
        end_group_of(pid(&first));
        assert_eq!(said.read_line(&mut line).unwrap(), 0, "the second one lives");
        first.wait().unwrap();
    }
}
