//! More of the machine than was given.

use super::done;
use crate::sys::{at, at_mut, call};
use crate::{Outcome, Probe};
use nix::errno::Errno;
use std::os::fd::AsRawFd;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("core", "leave core files", |_| {
        // A page is the least the kernel writes (ELF_MIN_ALIGN).
        raise(libc::RLIMIT_CORE, |(_, hard)| (hard >= 4096).then_some((hard, hard)))
    })
    .if_built(),
    Probe::new("more-files", "raise the number of open files", |_| {
        raise(libc::RLIMIT_NOFILE, |(soft, hard)| Some((soft, hard.checked_add(1)?)))
    })
    .root(),
    Probe::new("real-time", "go before every other process", |_| {
        done(call(libc::SYS_sched_setscheduler, &[0, 1, at(&1_i32)]))
    })
    .root(),
    Probe::new("sooner", "run with a better priority", |_| {
        done(call(libc::SYS_setpriority, &[0, 0, -10]))
    })
    .root(),
    Probe::new("disk-first", "have the disk before everybody else", |_| {
        done(call(libc::SYS_ioprio_set, &[1, 0, 1 << 13]))
    })
    .root(),
    Probe::new("quota", "set how much of a disk somebody may have", |_| {
        let folder = std::fs::File::open(".").map_err(super::io)?;
        // Q_SETQUOTA of user 0, with limits that cannot be read: quotactl(2).
        let set = 0x80_0008 << 8;
        done(call(libc::SYS_quotactl_fd, &[folder.as_raw_fd().into(), set, 0, 0]))
    })
    .answers(Errno::EFAULT),
];

/// Sets a limit to what `wanted` makes of it.
fn raise(resource: u32, wanted: impl Fn((u64, u64)) -> Option<(u64, u64)>) -> Outcome {
    let mut limit = [0_u64; 2];
    call(libc::SYS_prlimit64, &[0, resource.into(), 0, at_mut(&mut limit)])?;
    let (soft, hard) = wanted((limit[0], limit[1])).ok_or(Errno::EPERM)?;
    done(call(libc::SYS_prlimit64, &[0, resource.into(), at(&[soft, hard]), 0]))
}
