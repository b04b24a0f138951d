//! Changes of modes, owners, times and extended attributes, performed on the caller's behalf.
//!
//! Landlock has no right for them, so without this a command could change the mode of every file
//! its user owns. Whoever may write an object may change its attributes; nobody else. What is
//! judged is the pinned object, and what is changed is that object.

use super::blocking::Interrupted;
use super::caller::Caller;
use super::place::Place;
use super::resolve::{Last, resolve_at};
use super::turn::Turn;
use super::{Refusal, pinned};
use crate::AbsPath;
use crate::decide::{AttributeChange, AttributeTarget, FileKind, attribute, times};
use crate::filter::AttributeCall;
use crate::policy::Access;
use crate::record::{Kind, Reason};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, UtimensatFlags, fchmod, fchmodat, fstat, futimens, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{AccessFlags, Gid, Uid, chown, faccessat, fchown, geteuid};
use std::os::fd::OwnedFd;

/// Limits of the kernel (linux/limits.h).
const XATTR_NAME_MAX: usize = 255;
const XATTR_SIZE_MAX: u64 = 65536;

/// A change with everything it needs copied.
#[derive(Debug)]
enum Copied {
    Mode(Mode),
    Owner(Option<Uid>, Option<Gid>),
    Times([TimeSpec; 2]),
    SetXattr { name: Vec<u8>, value: Vec<u8>, flags: i32 },
    RemoveXattr { name: Vec<u8> },
}

/// An object, and how the program called it.
#[derive(Debug)]
struct Pinned {
    object: OwnedFd,
    by: By,
    stat: FileStat,
    /// `None`: not a file of any folder (a pipe, a socket, memory), or one without a name left.
    path: Option<AbsPath>,
    written: Vec<u8>,
}

/// How an object is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// By a duplicate of the program's descriptor, through which it can be changed.
    Descriptor,
    /// By one that is no way to it (`O_PATH`).
    Path,
}

/// Performs the call.
pub(super) fn perform(
    turn: &Turn<'_>,
    args: [u64; 6],
    what: AttributeCall,
) -> Result<(), Interrupted> {
    let (target, change) = attribute(what, &args)?;
    let Some(change) = copy(&turn.caller, change)? else { return Ok(()) };
    let pinned = pin(&turn.caller, target)?;
    turn.caller.still_waits()?;
    judge(turn, &pinned, &change)?;
    // A network file system may let us wait.
    turn.may_block(|| apply(&pinned, &change))
}

/// Copies what lies in the program's memory, once. `None`: nothing is to be changed, and the kernel
/// would not even look at the path.
fn copy(caller: &Caller<'_>, change: AttributeChange) -> Result<Option<Copied>, Errno> {
    let unless_kept = |id: u32| (id != u32::MAX).then_some(id);
    Ok(Some(match change {
        AttributeChange::Mode(bits) => Copied::Mode(Mode::from_bits_truncate(bits)),
        AttributeChange::Owner(user, group) => Copied::Owner(
            unless_kept(user).map(Uid::from_raw),
            unless_kept(group).map(Gid::from_raw),
        ),
        AttributeChange::Times(_, 0) => Copied::Times([TimeSpec::UTIME_NOW; 2]),
        AttributeChange::Times(layout, address) => {
            let both = times(layout, &caller.read(address, layout.size())?)?;
            if both.iter().all(|(_, nanos)| *nanos == libc::UTIME_OMIT) {
                return Ok(None);
            }
            Copied::Times(both.map(|(seconds, nanos)| TimeSpec::new(seconds, nanos)))
        }
        AttributeChange::SetXattr { name, value, size, flags } => {
            let name = xattr_name(caller, name)?;
            if size > XATTR_SIZE_MAX {
                return Err(Errno::E2BIG);
            }
            let value = caller.read(value, usize::try_from(size).map_err(|_| Errno::E2BIG)?)?;
            Copied::SetXattr { name, value, flags }
        }
        AttributeChange::RemoveXattr { name } => {
            Copied::RemoveXattr { name: xattr_name(caller, name)? }
        }
    }))
}

fn xattr_name(caller: &Caller<'_>, address: u64) -> Result<Vec<u8>, Errno> {
    match caller.read_path(address) {
        Ok(name) if (1..=XATTR_NAME_MAX).contains(&name.len()) => Ok(name),
        Ok(_) | Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Err(errno) => Err(errno),
    }
}

fn pin(caller: &Caller<'_>, target: AttributeTarget) -> Result<Pinned, Errno> {
    match target {
        AttributeTarget::Descriptor(fd) => {
            let object = caller.descriptor(fd)?;
            // Such a descriptor is no way to the object (open(2)).
            if flags(&object)?.contains(OFlag::O_PATH) {
                return Err(Errno::EBADF);
            }
            unwritten(object, By::Descriptor)
        }
        AttributeTarget::Path { dirfd, address, follow, empty } => {
            let written = caller.read_path(address)?;
            if written.is_empty() && empty {
                let object = caller.folder(dirfd)?;
                let by =
                    if flags(&object)?.contains(OFlag::O_PATH) { By::Path } else { By::Descriptor };
                return unwritten(object, by);
            }
            let last = if follow { Last::Follow } else { Last::NoFollow };
            let Place { object, path } = resolve_at(caller, dirfd, &written, last)?;
            let stat = fstat(&object)?;
            let path = (stat.st_nlink > 0).then_some(path);
            Ok(Pinned { object, by: By::Path, stat, path, written })
        }
    }
}

fn flags(object: &OwnedFd) -> Result<OFlag, Errno> {
    fcntl(object, FcntlArg::F_GETFL).map(OFlag::from_bits_retain)
}

/// An object that the program called by no path: it is called what it is called now.
fn unwritten(object: OwnedFd, by: By) -> Result<Pinned, Errno> {
    let stat = fstat(&object)?;
    let path = pinned::path_if_linked(&object, &stat)?;
    let written = path.as_ref().map_or_else(|| b"(unnamed)".to_vec(), |p| p.as_bytes().to_vec());
    Ok(Pinned { object, by, stat, path, written })
}

/// Who may write may change attributes. A device may be written by many and its mode is everyone's,
/// so only its times follow that rule.
fn judge(turn: &Turn<'_>, pinned: &Pinned, change: &Copied) -> Result<(), Errno> {
    let Some(path) = &pinned.path else { return Ok(()) };
    let device =
        matches!(FileKind::of(&pinned.stat), FileKind::CharacterDevice | FileKind::BlockDevice);
    let fs = &turn.shared.policy().fs;
    let why = match Reason::of(fs.lookup(path, Access::WRITE)) {
        Some(refused) => refused,
        // Later runs would not get past it, to a workspace that has its place there.
        None if let Some(place) = fs.holds_place(path) => (Reason::Protected, Some(&place.source)),
        None if device && !matches!(change, Copied::Times(_)) => (Reason::NotSupported, None),
        None => return Ok(()),
    };
    if !permitted(pinned, change) {
        return Err(Errno::EPERM);
    }
    turn.record(Refusal {
        access: Access::WRITE,
        resolved: Some(path.as_bytes().to_vec()),
        ..turn.refusal(Kind::Fs, pinned.written.clone(), why)
    });
    Err(Errno::EACCES)
}

/// Whether the kernel would have allowed it without the sandbox: the owner may everything, and
/// whoever may write may set the times to now and attributes of the `user` class. Where it would
/// not, nothing was denied.
fn permitted(pinned: &Pinned, change: &Copied) -> bool {
    if pinned.stat.st_uid == geteuid().as_raw() {
        return true;
    }
    let by_writing = match change {
        Copied::Mode(_) | Copied::Owner(..) => false,
        Copied::Times(both) => *both == [TimeSpec::UTIME_NOW; 2],
        Copied::SetXattr { name, .. } | Copied::RemoveXattr { name } => name.starts_with(b"user."),
    };
    let path = pinned::name(&pinned.object);
    by_writing && faccessat(AT_FDCWD, path.as_str(), AccessFlags::W_OK, AtFlags::empty()).is_ok()
}

/// Changes the pinned object: through the descriptor where that can be, or by its link in `/proc`,
/// which leads to it and to nothing else, a symbolic link included.
fn apply(pinned: &Pinned, change: &Copied) -> Result<(), Errno> {
    let object = &pinned.object;
    let direct = pinned.by == By::Descriptor;
    let path = pinned::name(object);
    let path = path.as_str();
    match change {
        Copied::Mode(mode) if direct => fchmod(object, *mode),
        Copied::Owner(user, group) if direct => fchown(object, *user, *group),
        Copied::Times([accessed, modified]) if direct => futimens(object, accessed, modified),
        Copied::Mode(mode) => fchmodat(AT_FDCWD, path, *mode, FchmodatFlags::FollowSymlink),
        Copied::Owner(user, group) => chown(path, *user, *group),
        Copied::Times([accessed, modified]) => {
            utimensat(AT_FDCWD, path, accessed, modified, UtimensatFlags::FollowSymlink)
        }
        Copied::SetXattr { name, value, flags } => sys::set_xattr(path, name, value, *flags),
        Copied::RemoveXattr { name } => sys::remove_xattr(path, name),
    }
}
