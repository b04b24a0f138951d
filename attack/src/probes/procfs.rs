//! `/proc`: the same user's other processes, and the machine's switches.

use super::{did, io};
use crate::{Expect, Outcome, Probe};
use nix::errno::Errno;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const LISTED: &str = "without namespaces /proc lists every process, as it does for any user; \
                      memory, environment and descriptors stay closed";

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-proc", "look at oneself", |_| did(fs::read("/proc/self/status")))
        .expect(Expect::Works),
    Probe::new("environ", "read another process's environment", |t| {
        did(fs::read(of(t.victim, "environ")))
    }),
    Probe::new("mem", "read another process's memory by its file", |t| {
        let file = fs::File::open(of(t.victim, "mem")).map_err(io)?;
        let (mut secret, from) = ([0_u8; 8], u64::try_from(t.memory).unwrap_or(0));
        did(file.read_exact_at(&mut secret, from))
    }),
    Probe::new("maps", "read where its memory lies", |t| did(fs::read(of(t.victim, "maps")))),
    Probe::new("fds", "list another process's descriptors", |t| descriptor_of(t.victim)),
    Probe::new("fd", "open what another process has open", |t| {
        did(fs::File::open(of(t.victim, "fd/0")))
    }),
    Probe::new("root", "go through another process's root", |t| {
        let secret = t.outside("secret");
        let below = secret.strip_prefix("/").unwrap_or(&secret).to_owned();
        did(fs::read(of(t.victim, "root").join(below)))
    }),
    Probe::new("cwd", "go through another process's working directory", |t| {
        did(fs::read_dir(of(t.victim, "cwd")))
    }),
    Probe::new("exe", "learn another process's program", |t| {
        did(fs::read_link(of(t.victim, "exe")))
    }),
    Probe::new("cmdline", "read another process's command line", |t| {
        did(fs::read(of(t.victim, "cmdline")))
    })
    .expect(Expect::ByNamespaces(LISTED)),
    Probe::new("processes", "list the processes outside", |t| {
        let victim = t.victim.to_string();
        let mut all = fs::read_dir("/proc").map_err(io)?.flatten();
        let found = all.any(|entry| entry.file_name().to_str() == Some(victim.as_str()));
        if found { Ok(String::new()) } else { Err(Errno::ENOENT) }
    })
    .expect(Expect::ByNamespaces(LISTED)),
    Probe::new("parent-environ", "read the environment of whoever started this", |_| {
        did(fs::read(of(parent(), "environ")))
    }),
    Probe::new("parent-mem", "open the memory of whoever started this", |_| {
        did(fs::File::open(of(parent(), "mem")))
    }),
    Probe::new("parent-fds", "list the descriptors of whoever started this", |_| {
        descriptor_of(parent())
    }),
    Probe::new("init-root", "go through the first process's root", |t| {
        let secret = t.outside("secret");
        let below = secret.strip_prefix("/").unwrap_or(&secret).to_owned();
        did(fs::read(of(1, "root").join(below)))
    })
    .root(),
    Probe::new("core-pattern", "name a program that the kernel runs", |_| {
        write("/proc/sys/kernel/core_pattern")
    })
    .root(),
    Probe::new("hostname-file", "change a switch of the kernel", |_| {
        write("/proc/sys/kernel/hostname")
    })
    .root(),
    Probe::new("sysrq", "press the magic key", |_| write("/proc/sysrq-trigger")).root(),
    Probe::new("group", "leave the control group", |_| leave_group()).root(),
    Probe::new("oom", "be the last that memory is taken from", |_| {
        let mut file =
            OpenOptions::new().write(true).open("/proc/self/oom_score_adj").map_err(io)?;
        did(file.write_all(b"-1000"))
    })
    .root(),
    Probe::new("sockets", "list the sockets of the machine", |_| did(fs::read("/proc/net/unix")))
        .open("names of sockets in the network namespace; connecting to them is what is refused"),
];

fn of(process: i32, file: &str) -> PathBuf {
    Path::new("/proc").join(process.to_string()).join(file)
}

/// What one of its descriptors leads to. Their numbers alone say nothing.
fn descriptor_of(process: i32) -> Outcome {
    let mut all = fs::read_dir(of(process, "fd")).map_err(io)?.flatten();
    let one = all.next().ok_or(Errno::ENOENT)?;
    did(fs::read_link(one.path()))
}

fn parent() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// Opens to write; writing is not needed to show that it could be.
fn write(path: &str) -> Outcome {
    did(OpenOptions::new().write(true).open(path))
}

/// Opens the file of the group above one's own that would take this process.
fn leave_group() -> Outcome {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(io)?;
    let groups = mounts.lines().filter(|line| line.contains(" cgroup"));
    let mut roots = groups.filter_map(|line| line.split(' ').nth(1));
    let open = |root| OpenOptions::new().write(true).open(Path::new(root).join("cgroup.procs"));
    let first = roots.next().ok_or(Errno::ENOENT)?;
    did(open(first))
}
