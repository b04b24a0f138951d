//! Building a world of one's own, in which the rules would mean something else.

use super::{c_path, done};
use crate::sys::{at, at_mut, call, in_child, thread_with_own_descriptors};
use crate::{Expect, Outcome, Probe};
use nix::errno::Errno;
use std::path::Path;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("ns-user", "a user namespace", |_| unshare(libc::CLONE_NEWUSER)).if_built(),
    Probe::new("ns-mount", "mounts", |_| unshare(libc::CLONE_NEWNS)).root(),
    Probe::new("ns-net", "a network", |_| unshare(libc::CLONE_NEWNET)).root(),
    Probe::new("ns-pid", "processes", |_| unshare(libc::CLONE_NEWPID)).root(),
    Probe::new("ns-ipc", "System V objects", |_| unshare(libc::CLONE_NEWIPC)).root(),
    Probe::new("ns-names", "a host name", |_| unshare(libc::CLONE_NEWUTS)).root(),
    Probe::new("ns-groups", "control groups", |_| unshare(libc::CLONE_NEWCGROUP)).root(),
    Probe::new("clone-user", "a child in a user namespace", |_| {
        let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
        let child = call(libc::SYS_clone, &[flags, 0, 0, 0, 0])?;
        if child == 0 {
            let _gone = call(libc::SYS_exit_group, &[0]);
        }
        Ok(String::new())
    })
    .if_built(),
    Probe::new("setns", "another process's namespaces", |t| {
        let process = call(libc::SYS_pidfd_open, &[t.victim.into(), 0])?;
        done(call(libc::SYS_setns, &[process, libc::CLONE_NEWNS.into()]))
    })
    .root(),
    Probe::new("descriptor-table", "descriptors that the supervisor would not find", |_| {
        unshare(libc::CLONE_FILES)
    }),
    Probe::new("descriptor-table-born", "the same, of a thread from its beginning", |_| {
        done(thread_with_own_descriptors())
    }),
    Probe::new("descriptor-table-closing", "the same, by closing descriptors", |_| {
        // Nothing is open up there; CLOSE_RANGE_UNSHARE.
        let nothing = i64::from(u32::MAX);
        done(call(libc::SYS_close_range, &[nothing - 1, nothing, 2]))
    }),
    Probe::new("descriptor-table-shared", "a process that uses another one's descriptors", |_| {
        let flags = libc::CLONE_FILES | libc::SIGCHLD;
        let child = call(libc::SYS_clone, &[flags.into(), 0, 0, 0, 0])?;
        if child == 0 {
            let _gone = call(libc::SYS_exit_group, &[0]);
        }
        Ok(String::new())
    }),
    Probe::new("mount", "mount over a folder of the workspace", |t| {
        let folder = t.own("mount");
        let _there = std::fs::create_dir(&folder);
        let (kind, folder) = (c"tmpfs", c_path(&folder)?);
        let (kind, folder) = (at(kind.to_bytes_with_nul()), at(folder.to_bytes_with_nul()));
        call(libc::SYS_mount, &[kind, folder, kind, 0, 0])?;
        done(call(libc::SYS_umount2, &[folder, 0]))
    })
    .root(),
    Probe::new("umount", "take a mount away", |_| {
        done(call(libc::SYS_umount2, &[at(c"/nono-not-there".to_bytes_with_nul()), 0]))
    })
    .answers(Errno::ENOENT),
    Probe::new("open-tree", "copy mounts", |_| {
        let path = c".";
        let arguments = [libc::AT_FDCWD.into(), at(path.to_bytes_with_nul()), 1];
        done(call(libc::SYS_open_tree, &arguments))
    })
    .root(),
    Probe::new("open-tree-attr", "copy mounts with other attributes", |_| {
        // `struct mount_attr`: nothing set, nothing cleared; OPEN_TREE_CLONE.
        let (path, attributes) = (c".", [0_u64; 4]);
        let path = at(path.to_bytes_with_nul());
        done(call(OPEN_TREE_ATTR, &[libc::AT_FDCWD.into(), path, 1, at(&attributes), 32]))
    })
    .root(),
    Probe::new("mount-list", "list the machine's mounts by their namespace's number", |t| {
        // `struct mnt_id_req`: size, everything below the root (LSMT_ROOT), from the start, where.
        let (request, mut found) = ([32_u64, u64::MAX, 0, t.mounts], [0_u64; 4]);
        done(call(LISTMOUNT, &[at(&request), at_mut(&mut found), 4, 0]))
    })
    .expect(Expect::ByNamespaces(
        "without namespaces a run is where the machine's mounts are, and /proc/self/mountinfo lists \
         them too",
    ))
    .if_built(),
    Probe::new("fsopen", "open a file system", |_| {
        done(call(libc::SYS_fsopen, &[at(c"tmpfs".to_bytes_with_nul()), 0]))
    })
    .root(),
    Probe::new("pivot-root", "another root", |_| {
        let path = at(c"/nono-not-there".to_bytes_with_nul());
        done(call(libc::SYS_pivot_root, &[path, path]))
    })
    .answers(Errno::ENOENT),
    Probe::new("chroot", "another root for itself", |_| {
        let path = c_path(Path::new("."))?;
        done(call(libc::SYS_chroot, &[at(path.to_bytes_with_nul())]))
    })
    .root(),
    Probe::new("host-name", "name the machine", |_| {
        // Longer than any name.
        done(call(libc::SYS_sethostname, &[0, 1000]))
    })
    .answers(Errno::EINVAL),
];

/// Newer than libc (Linux 6.8, 6.15).
const LISTMOUNT: i64 = 458;
const OPEN_TREE_ATTR: i64 = 467;

/// In a child: what follows in this process is to be as it was.
fn unshare(flags: i32) -> Outcome {
    let child = in_child(|| {
        call(libc::SYS_unshare, &[flags.into()]).map_or_else(|errno| errno as i32, |_| 0)
    })?;
    match nix::sys::wait::waitpid(child, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(String::new()),
        nix::sys::wait::WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
        _ => Err(Errno::EIO),
    }
}
