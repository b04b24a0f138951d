//! Signals, sent on the caller's behalf. Only where the kernel has no scope that keeps them inside
//! (Landlock before ABI 6).
//!
//! A receiver is pinned by a descriptor first and asked for its ancestors then, so a process id that
//! is reused in between means nobody. What a program can notice: the sender's id
//! in `siginfo_t` is the supervisor's.

use super::blocking::Interrupted;
use super::caller::Caller;
use super::turn::Turn;
use super::{Refusal, Shared};
use crate::decide::{Receivers, Signalling, signalling};
use crate::filter::SignalCall;
use crate::record::{Confidence, Kind, Layer, Operation, Reason};
use crate::supervisor::tree;
use crate::sys;
use nix::errno::Errno;
use nix::unistd::{Pid, geteuid, getpgid};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// Performs the call.
pub(super) fn perform(
    turn: &Turn<'_>,
    args: [u64; 6],
    what: SignalCall,
) -> Result<(), Interrupted> {
    Ok(send(turn, &signalling(what, &args))?)
}

fn send(turn: &Turn<'_>, request: &Signalling) -> Result<(), Errno> {
    /// `sizeof(siginfo_t)`.
    const INFO: usize = 128;
    let caller = &turn.caller;
    let info = match request.info {
        Some(address) => Some(caller.read(address, INFO)?),
        None => None,
    };
    let own = caller.process()?;
    caller.still_waits()?;
    let one = |pid: i32| {
        to_process(pid, request.signal, info.as_deref())
            .inspect_err(|errno| refused(turn, *errno, pid))
    };
    match request.receivers {
        Receivers::Process(pid) => one(pid),
        // The caller waits, so its own process cannot be another's meanwhile.
        Receivers::Thread { process, thread } if process.is_none_or(|p| p == own) => {
            match sys::signal_thread(own, thread, request.signal) {
                Err(Errno::ESRCH) if process.is_none() => one(thread),
                other => other,
            }
        }
        Receivers::Thread { process, thread } => one(process.unwrap_or(thread)),
        Receivers::Pidfd(fd) => {
            let pidfd = caller.descriptor(fd)?;
            caller.still_waits()?;
            let process = process_of(&pidfd)?;
            // Of a process that was waited for (proc_pid_fdinfo(5)): there is none.
            if process < 0 {
                return Err(Errno::ESRCH);
            }
            if !is_ours(process) {
                refused(turn, Errno::EPERM, process);
                return Err(Errno::EPERM);
            }
            sys::signal_process(pidfd.as_fd(), request.signal, info.as_deref())
        }
        Receivers::Group(0) => {
            let group = getpgid(Some(Pid::from_raw(own)))?;
            to_many(request.signal, |pid| getpgid(Some(pid)) == Ok(group))
        }
        Receivers::Group(group) => {
            to_many(request.signal, |pid| getpgid(Some(pid)) == Ok(Pid::from_raw(group)))
        }
        Receivers::Everyone => to_many(request.signal, |pid| pid.as_raw() != own),
    }
}

/// To one process of the run. `EPERM` for any other one, `ESRCH` where there is none.
fn to_process(pid: i32, signal: i32, info: Option<&[u8]>) -> Result<(), Errno> {
    let pidfd =
        sys::open_pidfd(pid).map_err(|e| if e == Errno::EINVAL { Errno::ESRCH } else { e })?;
    if !is_ours(pid) {
        return Err(Errno::EPERM);
    }
    sys::signal_process(pidfd.as_fd(), signal, info)
}

/// Whether a process is of this run.
pub(in crate::supervisor) fn is_ours(pid: i32) -> bool {
    tree::is_descendant(pid)
}

/// Whether a task exists and is the user's own, so that without the sandbox it could be acted on.
pub(in crate::supervisor) fn is_of_user(task: i32) -> bool {
    let owner = std::fs::metadata(format!("/proc/{task}")).map(|m| m.uid());
    owner.ok() == Some(geteuid().as_raw())
}

/// To every process of the run that `wanted` picks; `ESRCH` if that is none.
fn to_many(signal: i32, wanted: impl Fn(Pid) -> bool) -> Result<(), Errno> {
    let mut result = Err(Errno::ESRCH);
    for pid in tree::descendants().into_iter().filter(|p| wanted(*p)) {
        let sent = to_process(pid.as_raw(), signal, None);
        if result.is_err() {
            result = sent;
        }
    }
    result
}

/// The process a descriptor stands for (pidfd_open(2), `Pid:` in its fdinfo); -1 if it is gone.
fn process_of(pidfd: &OwnedFd) -> Result<i32, Errno> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let info = info.map_err(|_| Errno::EBADF)?;
    let pid = info.lines().find_map(|l| l.strip_prefix("Pid:")).ok_or(Errno::EBADF)?;
    pid.trim().parse().map_err(|_| Errno::ESRCH)
}

/// Records the refusal of a mediated signal.
fn refused(turn: &Turn<'_>, errno: Errno, pid: i32) {
    if errno == Errno::EPERM {
        let how = (Layer::Mediation, Confidence::Enforced);
        record_foreign(turn.shared, &turn.caller, pid, turn.syscall, how);
    }
}

/// Records a signal to a process that is not of this run, if it would have been allowed without the
/// sandbox: the process exists and is the user's own. `by`: what refused it, and how that is known.
pub(in crate::supervisor) fn record_foreign(
    shared: &Shared,
    caller: &Caller<'_>,
    pid: i32,
    syscall: &'static str,
    (layer, confidence): (Layer, Confidence),
) {
    if !is_of_user(pid) {
        return;
    }
    let target = format!("process {pid}").into_bytes();
    let what = (Kind::Signal, Operation::Signal);
    let refusal = Refusal::mediated(what, target, syscall, (Reason::NotSupported, None));
    shared.record(caller, Refusal { errno: Errno::EPERM, layer, confidence, ..refusal });
}
