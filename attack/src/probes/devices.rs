//! Devices: the machine behind the files.

use super::{did, io};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("null", "write to /dev/null", |_| did(fs::write("/dev/null", "x")))
        .expect(Expect::Works),
    Probe::new("block-node", "make a disk in the workspace", |t| node(t, SFlag::S_IFBLK, 7)).root(),
    Probe::new("char-node", "make a device in the workspace", |t| node(t, SFlag::S_IFCHR, 1))
        .root(),
    Probe::new("disk", "read a disk", |_| did(File::open(disk()?))).root(),
    Probe::new("memory", "open the machine's memory", |_| did(File::open("/dev/mem"))).root(),
    Probe::new("kernel-log", "read the kernel's log", |_| did(File::open("/dev/kmsg"))).root(),
    Probe::new("console", "write to the console", |_| {
        did(OpenOptions::new().write(true).open("/dev/console"))
    })
    .root(),
];

fn node(t: &Targets, kind: SFlag, major: u64) -> Outcome {
    let path = t.own("node");
    mknod(&path, kind, Mode::S_IRWXU, makedev(major, 0))?;
    did(fs::remove_file(path))
}

/// The first disk this machine names.
fn disk() -> Result<PathBuf, Errno> {
    let all = fs::read_dir("/sys/block").or_else(|_| fs::read_dir("/dev")).map_err(io)?;
    let names = all.flatten().map(|e| PathBuf::from("/dev").join(e.file_name()));
    let disk = |path: &PathBuf| {
        use std::os::unix::fs::FileTypeExt;
        fs::metadata(path).is_ok_and(|m| m.file_type().is_block_device())
    };
    names.into_iter().find(disk).ok_or(Errno::ENOENT)
}
