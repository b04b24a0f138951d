//! Watching and locking files, performed on the caller's behalf.
//!
//! Neither opens a file to change it, so Landlock has no right for them: inotify takes a path that
//! the user may read, `flock` any descriptor. Without this a command could learn when files outside
//! of its grants are used, and make others wait for locks on files it may only read.

use super::blocking::Interrupted;
use super::resolve::{Last, resolve_at};
use super::turn::Turn;
use super::{Refusal, pinned};
use crate::AbsPath;
use crate::policy::Access;
use crate::record::{Kind, Reason};
use crate::register::{int, unsigned};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstat;
use nix::unistd::{AccessFlags, faccessat};
use std::os::fd::{AsFd, OwnedFd};

/// A file somebody wants to notice, and how the program called it.
struct Noticed {
    object: OwnedFd,
    path: AbsPath,
    written: Vec<u8>,
}

/// `inotify_add_watch(fd, path, mask)`: whoever may read an object may watch it.
pub(super) fn watch(
    turn: &Turn<'_>,
    [fd, address, mask, ..]: [u64; 6],
) -> Result<i64, Interrupted> {
    let mask = unsigned(mask);
    let inotify = turn.caller.descriptor(fd)?;
    let written = turn.caller.read_path(address)?;
    let last = if mask & libc::IN_DONT_FOLLOW == 0 { Last::Follow } else { Last::NoFollow };
    let place = resolve_at(&turn.caller, libc::AT_FDCWD, &written, last)?;
    turn.caller.still_waits()?;
    let noticed = Noticed { object: place.object, path: place.path, written };
    judge(turn, &noticed, Access::READ)?;
    // The name leads to the pinned object, a symbolic link included.
    let name = pinned::name(&noticed.object);
    Ok(sys::add_watch(inotify.as_fd(), &name, mask & !libc::IN_DONT_FOLLOW).map(i64::from)?)
}

/// `flock(fd, operation)` for an exclusive lock: whoever may write a file may have others wait.
pub(super) fn lock(turn: &Turn<'_>, [fd, operation, ..]: [u64; 6]) -> Result<(), Interrupted> {
    let mut object = turn.caller.descriptor(fd)?;
    turn.caller.still_waits()?;
    if let Some(path) = pinned::path_if_linked(&object, &fstat(&object)?)? {
        let written = path.as_bytes().to_vec();
        let noticed = Noticed { object, path, written };
        judge(turn, &noticed, Access::WRITE)?;
        object = noticed.object;
    }
    // The lock belongs to the open file, which the duplicate shares with the caller's descriptor.
    turn.may_block(|| sys::lock_file(object.as_fd(), int(operation)))
}

/// Refuses what the policy does not allow; records it where ordinary permissions would have.
fn judge(turn: &Turn<'_>, noticed: &Noticed, access: Access) -> Result<(), Errno> {
    let answer = turn.shared.policy().fs.lookup(&noticed.path, access);
    let Some(why) = Reason::of(answer) else { return Ok(()) };
    let name = pinned::name(&noticed.object);
    if faccessat(AT_FDCWD, name.as_str(), AccessFlags::R_OK, AtFlags::empty()).is_err() {
        return Err(Errno::EACCES);
    }
    turn.record(Refusal {
        access,
        resolved: Some(noticed.path.as_bytes().to_vec()),
        ..turn.refusal(Kind::Fs, noticed.written.clone(), why)
    });
    Err(Errno::EACCES)
}
