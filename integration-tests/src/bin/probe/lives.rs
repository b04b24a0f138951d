//! Processes that fork, leave, borrow memory, are stopped, and end their children.

use crate::number;
use crate::process::{idle, target};
use crate::sys::{self, Outcome, unix_address};
use nix::errno::Errno;
use nix::unistd::{ForkResult, fork, getpid, getppid, setsid};
use std::time::Duration;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("vfork-connect", &[address]) => vfork_connect(address),
        ("daemon-connect", &[address, result]) => daemon_connect(address, result),
        ("stop-storm", &[address, n]) => number(n).and_then(|n| stop_storm(address, n)),
        ("orphan-connect", &[address, result]) => orphan_connect(address, result),
        ("signal-children", &[]) => signal_children(),
        ("signal-by", &[way, pid, signal]) => target(pid).and_then(|p| signal_by(way, p, signal)),
        _ => return None,
    })
}

/// The grandchild connects once its parent is gone and writes what came of it; the first process
/// waits for that file.
fn orphan_connect(address: &str, result: &str) -> Outcome {
    let first = getpid();
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        let middle = getpid();
        // SAFETY: as above, in the child.
        if let ForkResult::Parent { .. } = unsafe { fork() }? {
            std::process::exit(0);
        }
        while getppid() == middle {
            std::thread::sleep(Duration::from_millis(1));
        }
        let outcome = connect_once(address).map_err(|e| format!("{e:?}"));
        let adopted = if getppid() == first { "child" } else { "orphan" };
        let line = format!("{adopted} {}", outcome.unwrap_or_else(|e| e));
        let _ = std::fs::write(format!("{result}.new"), line);
        let _ = std::fs::rename(format!("{result}.new"), result);
        std::process::exit(0);
    }
    for _ in 0..5000 {
        if let Ok(text) = std::fs::read_to_string(result) {
            return Ok(text);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(Errno::ETIMEDOUT)
}

/// Connects in a child that shares our memory and stops us until it ends, as `posix_spawn` makes
/// them.
fn vfork_connect(address: &str) -> Outcome {
    extern "C" fn child(job: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the parent is stopped and keeps both alive.
        let (address, result) = unsafe { &mut *job.cast::<(&str, Option<Outcome>)>() };
        *result = Some(connect_once(address));
        0
    }
    let mut stack = vec![0_u8; 256 << 10];
    let mut job: (&str, Option<Outcome>) = (address, None);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own and ends before this thread goes on; stacks grow
    // downwards from the end.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(stack.len()).cast();
        libc::clone(child, end, flags, (&raw mut job).cast())
    };
    if pid < 0 {
        return Err(Errno::last());
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
    job.1.unwrap_or(Err(Errno::EIO))
}

/// A daemon as they are made: fork, a session of its own, fork, its own standard streams, and the
/// first process gone. It connects then and leaves the result in a file.
fn daemon_connect(address: &str, result: &str) -> Outcome {
    // SAFETY: this process has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        nix::sys::wait::waitpid(child, None)?;
        return Ok("left".to_owned());
    }
    setsid()?;
    // SAFETY: as above, in the child.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        std::process::exit(0);
    }
    while nix::sys::signal::kill(nix::unistd::Pid::from_raw(first_of_session()?), None).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = match connect_once(address) {
        Ok(detail) => format!("ok {detail}"),
        Err(errno) => format!("{errno:?}"),
    };
    let _ = std::fs::write(format!("{result}.new"), said);
    let _ = std::fs::rename(format!("{result}.new"), result);
    std::process::exit(0);
}

/// The leader of our session, which has left it to us.
fn first_of_session() -> Result<i32, Errno> {
    nix::unistd::getsid(None).map(nix::unistd::Pid::as_raw)
}

/// Connects `n` times while the parent stops and continues us as fast as it can.
fn stop_storm(address: &str, n: usize) -> Outcome {
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // Connecting alone: reading with a timeout fails after a stop everywhere (signal(7)).
            let address = unix_address(address);
            let connects = || {
                let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
                let connected = sys::connect(fd, &address);
                sys::close(fd);
                connected
            };
            let right = (0..n).filter(|_| connects().is_ok()).count();
            std::process::exit(i32::from(right != n));
        }
        ForkResult::Parent { child } => {
            use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
            let mut rounds = 0_u64;
            loop {
                for signal in [libc::SIGSTOP, libc::SIGCONT] {
                    let args = [child.as_raw() as usize, signal as usize];
                    sys::call(libc::SYS_kill, &args)?;
                }
                rounds += 1;
                match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
                    WaitStatus::Exited(_, 0) => return Ok(format!("{n} in {rounds} rounds")),
                    WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Err(Errno::EIO),
                    _ => {}
                }
            }
        }
    }
}

fn connect_once(address: &str) -> Outcome {
    let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    sys::connect(fd, &unix_address(address))?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

/// Every call that sends a signal to one process.
const WAYS: [&str; 6] = ["kill", "tkill", "tgkill", "queue", "thread-queue", "pidfd"];

/// One signal by one of [`WAYS`], or by `group` to the process's group.
fn signal_by(way: &str, pid: usize, signal: &str) -> Outcome {
    let signal: usize = number(signal)?;
    let mut info = [0_i32; 32];
    info[0] = signal as i32;
    info[2] = libc::SI_QUEUE;
    let info = info.as_ptr() as usize;
    match way {
        "kill" => sys::call(libc::SYS_kill, &[pid, signal])?,
        "tkill" => sys::call(libc::SYS_tkill, &[pid, signal])?,
        "tgkill" => sys::call(libc::SYS_tgkill, &[pid, pid, signal])?,
        "queue" => sys::call(libc::SYS_rt_sigqueueinfo, &[pid, signal, info])?,
        "thread-queue" => sys::call(libc::SYS_rt_tgsigqueueinfo, &[pid, pid, signal, info])?,
        "pidfd" => {
            let handle = sys::call(libc::SYS_pidfd_open, &[pid, 0])?;
            sys::call(libc::SYS_pidfd_send_signal, &[handle, signal, 0, 0])?
        }
        "group" => {
            let group = sys::call(libc::SYS_getpgid, &[pid])?;
            sys::call(libc::SYS_kill, &[group.wrapping_neg(), signal])?
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok(String::new())
}

/// Ends a child of ours by each of [`WAYS`]; says by how many that worked.
fn signal_children() -> Outcome {
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};
    for way in WAYS {
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Child => return idle(),
            ForkResult::Parent { child } => {
                signal_by(way, child.as_raw() as usize, "15")?;
                if waitpid(child, None)? != WaitStatus::Signaled(child, Signal::SIGTERM, false) {
                    return Err(Errno::EIO);
                }
            }
        }
    }
    Ok(WAYS.len().to_string())
}
