//! Other processes of the same user: memory, signals, limits, priorities.

use super::done;
use crate::sys::{at, at_mut, call};
use crate::{Expect, Outcome, Probe, Targets};
use std::io::Write;
use std::os::fd::AsRawFd;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-child", "signal and end a child of one's own", |_| own_child())
        .expect(Expect::Works),
    Probe::new("trace", "trace another process", |t| trace(t.victim)),
    Probe::new("trace-parent", "trace whoever started this", |_| {
        trace(nix::unistd::getppid().as_raw())
    }),
    Probe::new("vm-read", "read another process's memory", |t| {
        let mut secret = [0_u8; 8];
        let (ours, theirs) = ([at_mut(&mut secret), 8], [t.memory, 8]);
        let victim = i64::from(t.victim);
        done(call(libc::SYS_process_vm_readv, &[victim, at(&ours), 1, at(&theirs), 1, 0]))
    }),
    Probe::new("vm-write", "write another process's memory", |t| {
        let (ours, theirs) = ([at(b"changed!"), 8], [t.memory, 8]);
        let victim = i64::from(t.victim);
        done(call(libc::SYS_process_vm_writev, &[victim, at(&ours), 1, at(&theirs), 1, 0]))
    }),
    Probe::new("take-descriptor", "take another process's descriptor", |t| {
        let process = call(libc::SYS_pidfd_open, &[t.victim.into(), 0])?;
        done(call(libc::SYS_pidfd_getfd, &[process, 0, 0]))
    }),
    Probe::new("compare", "compare another process's descriptors", |t| {
        let (a, b) = (i64::from(t.victim), i64::from(t.victim));
        done(call(libc::SYS_kcmp, &[a, b, 0, 0, 0]))
    })
    .if_built(),
    Probe::new("advise", "throw another process's memory out", |t| {
        let process = call(libc::SYS_pidfd_open, &[t.victim.into(), 0])?;
        let range = [t.memory & !4095, 4096];
        // MADV_COLD (madvise(2)).
        done(call(libc::SYS_process_madvise, &[process, at(&range), 1, 20, 0]))
    }),
    Probe::new("move-pages", "ask where another process's memory is", |t| {
        let (page, mut state) = ([t.memory], [0_i32]);
        done(call(libc::SYS_move_pages, &[t.victim.into(), 1, at(&page), 0, at_mut(&mut state), 0]))
    })
    .if_built(),
    Probe::new("migrate-pages", "move another process's memory", |t| {
        // From the first node to the first node.
        let node = 1_u64;
        done(call(libc::SYS_migrate_pages, &[t.victim.into(), 64, at(&node), at(&node)]))
    })
    .if_built(),
    Probe::new("robust-list", "learn where another process keeps its locks", |t| {
        let (mut head, mut size) = (0_u64, 0_u64);
        let arguments = [t.victim.into(), at_mut(&mut head), at_mut(&mut size)];
        done(call(libc::SYS_get_robust_list, &arguments))
    }),
    Probe::new("namespace-of", "open another process's namespace by its descriptor", |t| {
        // PIDFD_GET_MNT_NAMESPACE (linux/pidfd.h).
        let process = call(libc::SYS_pidfd_open, &[t.victim.into(), 0])?;
        done(call(libc::SYS_ioctl, &[process, 0xff03, 0]))
    })
    .if_built(),
    Probe::new("kill-zero", "ask whether it could be signalled", |t| signal(t, 0)),
    Probe::new("kill", "signal another process", |t| signal(t, libc::SIGCONT)),
    Probe::new("tgkill", "signal another process's thread", |t| {
        done(call(libc::SYS_tgkill, &[t.victim.into(), t.victim.into(), libc::SIGCONT.into()]))
    }),
    Probe::new("queue", "signal another process with a value", |t| {
        let mut info = [0_i32; 32];
        (info[0], info[2]) = (libc::SIGCONT, -1);
        let arguments = [t.victim.into(), libc::SIGCONT.into(), at(&info)];
        done(call(libc::SYS_rt_sigqueueinfo, &arguments))
    }),
    Probe::new("pidfd-signal", "signal by a descriptor", |t| {
        let process = call(libc::SYS_pidfd_open, &[t.victim.into(), 0])?;
        done(call(libc::SYS_pidfd_send_signal, &[process, libc::SIGCONT.into(), 0, 0]))
    }),
    Probe::new("tkill", "signal a thread by the oldest call", |t| {
        done(call(libc::SYS_tkill, &[t.victim.into(), libc::SIGCONT.into()]))
    }),
    Probe::new("thread-queue", "signal a thread with a value", |t| {
        let mut info = [0_i32; 32];
        (info[0], info[2]) = (libc::SIGCONT, -1);
        let victim = i64::from(t.victim);
        let arguments = [victim, victim, libc::SIGCONT.into(), at(&info)];
        done(call(libc::SYS_rt_tgsigqueueinfo, &arguments))
    }),
    Probe::new("owner-signal", "have the kernel signal another process when a pipe is read", |t| {
        owner_signal(t)
    })
    .marker(),
    Probe::new("kill-parent", "signal whoever started this", |_| {
        done(call(libc::SYS_kill, &[nix::unistd::getppid().as_raw().into(), 0]))
    }),
    Probe::new("limit", "change another process's limits", |t| {
        let mut limit = [0_u64; 2];
        let (victim, core) = (i64::from(t.victim), i64::from(libc::RLIMIT_CORE));
        call(libc::SYS_prlimit64, &[victim, core, 0, at_mut(&mut limit)])?;
        done(call(libc::SYS_prlimit64, &[victim, core, at(&limit), 0]))
    }),
    Probe::new("nice", "change another process's priority", |t| {
        done(call(libc::SYS_setpriority, &[0, t.victim.into(), 1]))
    }),
    Probe::new("nice-group", "change the priority of a group of processes", |t| {
        let group = call(libc::SYS_getpgid, &[t.victim.into()])?;
        done(call(libc::SYS_setpriority, &[1, group, 1]))
    }),
    Probe::new("io-nice", "change another process's disk priority", |t| {
        done(call(libc::SYS_ioprio_set, &[1, t.victim.into(), 3 << 13]))
    }),
    Probe::new("affinity", "change another process's processors", |t| {
        let mut mask = [0_u64; 16];
        call(libc::SYS_sched_getaffinity, &[t.victim.into(), 128, at_mut(&mut mask)])?;
        done(call(libc::SYS_sched_setaffinity, &[t.victim.into(), 128, at(&mask)]))
    }),
    Probe::new("scheduler", "change another process's scheduling", |t| {
        let priority = 0_i32;
        done(call(libc::SYS_sched_setscheduler, &[t.victim.into(), 3, at(&priority)]))
    }),
];

fn own_child() -> Outcome {
    let child = std::process::Command::new("sleep").arg("60").spawn();
    let mut child = child.map_err(super::io)?;
    super::did(child.kill().and_then(|()| child.wait()))
}

fn trace(process: i32) -> Outcome {
    /// `PTRACE_SEIZE` stops nobody; the end of this process lets go.
    const SEIZE: i64 = 0x4206;
    done(call(libc::SYS_ptrace, &[SEIZE, process.into(), 0, 0]))
}

/// A descriptor's owner gets a signal of one's choice when something can be read. The victim leaves a
/// mark when it gets this one.
fn owner_signal(t: &Targets) -> Outcome {
    /// fcntl(2)
    const F_SETSIG: i64 = 10;
    let (from, to) = std::io::pipe().map_err(super::io)?;
    let from = i64::from(from.as_raw_fd());
    let set = |command: i64, value: i64| call(libc::SYS_fcntl, &[from, command, value]);
    set(libc::F_SETOWN.into(), t.victim.into())?;
    set(F_SETSIG, libc::SIGUSR1.into())?;
    set(libc::F_SETFL.into(), libc::O_ASYNC.into())?;
    super::did((&to).write_all(b"x"))
}

fn signal(t: &Targets, signal: i32) -> Outcome {
    done(call(libc::SYS_kill, &[t.victim.into(), signal.into()]))
}
