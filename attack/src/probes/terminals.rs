//! Terminals, sessions and job control.

use super::{did, done};
use crate::Probe;
use crate::sys::{at, call};
use nix::errno::Errno;
use std::fs::OpenOptions;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("type", "type into the terminal", |_| ioctl(0x5412)).answers(Errno::ENOTTY),
    Probe::new("type-upper", "the same with rubbish in the upper half", |_| ioctl(0x1_0000_5412))
        .answers(Errno::ENOTTY),
    Probe::new("console-commands", "commands of the console", |_| ioctl(0x541C))
        .answers(Errno::ENOTTY),
    Probe::new("other-terminal", "open another process's terminal", |t| {
        did(OpenOptions::new().read(true).write(true).open(&t.terminal))
    }),
    Probe::new("session", "be in the session of whoever started this", |t| {
        let (own, other) =
            (call(libc::SYS_getsid, &[0])?, call(libc::SYS_getsid, &[t.victim.into()])?);
        if own == other { Ok(String::new()) } else { Err(Errno::EPERM) }
    }),
    Probe::new("process-group", "join another process's group", |t| {
        let group = call(libc::SYS_getpgid, &[t.victim.into()])?;
        done(call(libc::SYS_setpgid, &[0, group]))
    }),
    Probe::new("hang-up", "hang the terminal up", |_| done(call(libc::SYS_vhangup, &[]))).root(),
];

/// On standard input, which is no terminal: the kernel says so if it is asked.
fn ioctl(command: i64) -> crate::Outcome {
    let character = *b"x";
    done(call(libc::SYS_ioctl, &[0, command, at(&character)]))
}
