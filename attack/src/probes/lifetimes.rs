//! Living on. Each leaves a process that makes a file in the workspace after the run is over.

use super::io;
use crate::sys::in_child;
use crate::{Outcome, Probe, Targets};
use nix::errno::Errno;
use std::fs;
use std::time::Duration;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("daemon", "detach twice, in a session of its own", |t| {
        leave(t, "daemon", || nix::unistd::setsid().is_ok())
    })
    .marker(),
    Probe::new("stubborn", "the same, deaf to every request to end", |t| {
        leave(t, "stubborn", || nix::unistd::setsid().is_ok() && deaf())
    })
    .marker(),
    Probe::new("silent", "the same, with nothing open", |t| {
        leave(t, "silent", || {
            (0..3).for_each(|fd| {
                let _closed = crate::sys::call(libc::SYS_close, &[fd]);
            });
            nix::unistd::setsid().is_ok()
        })
    })
    .marker(),
];

/// What a run's end must be before.
const PATIENCE: Duration = Duration::from_millis(600);

/// The name of the file that shows it.
pub(crate) fn marker(name: &str) -> String {
    format!("survived-{name}")
}

fn leave(t: &Targets, name: &str, prepare: impl FnOnce() -> bool) -> Outcome {
    let path = t.own(&marker(name));
    let child = in_child(|| {
        let grandchild = in_child(|| {
            if prepare() {
                std::thread::sleep(PATIENCE);
                return i32::from(fs::write(&path, "alive").is_err());
            }
            1
        });
        i32::from(grandchild.is_err())
    })?;
    match nix::sys::wait::waitpid(child, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok("left".to_owned()),
        _ => Err(Errno::EIO),
    }
}

fn deaf() -> bool {
    let all = nix::sys::signal::SigSet::all();
    all.thread_block().is_ok()
}

/// Whether the file is there, and takes it away.
pub(crate) fn survived(t: &Targets, name: &str) -> Result<bool, Errno> {
    match fs::remove_file(t.own(&marker(name))) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io(error)),
    }
}
