//! Making the namespaces of a run, and the supervisor the first process in them (ADR 0007).
//!
//! The process that was started stays outside as a *guard*: it waits for the supervisor and ends
//! with it. The supervisor, its child, is the first process of the new process namespace, so that
//! everything of the run is below it, is reaped by it, and ends with it, whatever happens: the
//! kernel kills a process namespace whose first process is gone.

use super::{SetupFailed, Stage};
use crate::namespaces::{Namespaces, SHARED_MEMORY};
use crate::sys::{self, ForkResult};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Proof that this process is the first one of a process namespace that was made for one run: a
/// signal to everybody reaches that run and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstProcess {
    /// How the namespaces were had.
    pub(super) namespaces: Namespaces,
}

/// Who goes on after the namespaces were made.
#[derive(Debug)]
pub(super) enum Entered {
    /// The supervisor, inside.
    Supervisor(FirstProcess),
    /// The guard, outside.
    Guard(Guard),
}

/// Exit code of a guard whose supervisor was killed, or could not be waited for.
const LOST: u8 = 102;

/// Makes the namespaces. The caller must have one thread, and this returns twice: as the guard and
/// as the supervisor.
///
/// # Errors
/// What could not be made. What was made by then stays; the caller starts nothing.
pub(super) fn enter(namespaces: Namespaces) -> Result<Entered, SetupFailed> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    if namespaces == Namespaces::ByUser {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(failed("unshare"))?;
    if namespaces == Namespaces::ByUser {
        // In this order: without capabilities outside, the group can be mapped only once the list
        // of groups is fixed (user_namespaces(7)).
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("{user} {user} 1"))?;
        write("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    }
    match sys::fork().map_err(failed("fork"))? {
        ForkResult::Parent { child } => Ok(Entered::Guard(Guard { supervisor: child })),
        ForkResult::Child => {
            // If the guard is gone already, the control socket is closed, which is noticed.
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed("death signal"))?;
            usual_mounts()?;
            Ok(Entered::Supervisor(FirstProcess { namespaces }))
        }
    }
}

fn failed(what: &str) -> impl Fn(Errno) -> SetupFailed {
    move |errno| SetupFailed::new(Stage::Namespaces, errno, what)
}

fn write(path: &str, text: &str) -> Result<(), SetupFailed> {
    fs::write(path, text).map_err(|error| match error.raw_os_error() {
        Some(errno) => failed(&format!("write {path}"))(Errno::from_raw(errno)),
        None => SetupFailed::in_words(Stage::Namespaces, format!("write {path}: {error}")),
    })
}

/// What a run sees differently. Nothing of it reaches the host's mounts.
fn usual_mounts() -> Result<(), SetupFailed> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(failed("make mounts private"))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), quiet, none).map_err(failed("mount /proc"))?;
    let shared = Path::new(SHARED_MEMORY);
    if shared.is_dir() {
        mount(Some("tmpfs"), shared, Some("tmpfs"), quiet, Some("mode=1777"))
            .map_err(failed("mount /dev/shm"))?;
    }
    Ok(())
}

/// The process outside.
#[derive(Debug)]
pub(super) struct Guard {
    supervisor: Pid,
}

impl Guard {
    /// Waits for the supervisor and ends like it. The caller has let go of everything that somebody
    /// else waits to see closed.
    pub(super) fn wait(self) -> ExitCode {
        let quiet = sys::drop_capabilities().and_then(|()| nix::sys::prctl::set_dumpable(false));
        if quiet.is_err() {
            // The supervisor dies with this process.
            return ExitCode::from(LOST);
        }
        loop {
            match waitpid(self.supervisor, None) {
                Ok(WaitStatus::Exited(_, code)) => {
                    return ExitCode::from(u8::try_from(code).unwrap_or(LOST));
                }
                Ok(WaitStatus::Signaled(..)) => return ExitCode::from(LOST),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return ExitCode::from(LOST),
            }
        }
    }
}
