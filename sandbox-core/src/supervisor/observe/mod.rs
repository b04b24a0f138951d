//! File-system calls, watched so that what Landlock refuses can be told (requirement D1).
//!
//! The kernel decides; every call is answered "go on" before anything is looked up, so watching
//! can neither weaken nor change a verdict. A refusal is recorded only where the sandbox made the
//! difference: the rules the kernel enforces refuse the call, the object exists (or could have been
//! made) and ordinary permissions would have allowed it.

mod calls;

use super::mediate::resolve::{Last, Place, resolve, resolve_new};
use super::mediate::{Caller, Refusal, Shared};
use crate::AbsPath;
use crate::decide::{Attempt, Target};
use crate::policy::{Access, Lookup};
use crate::record::{Confidence, Kind, Layer, Operation, Reason};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{AccessFlags, faccessat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

pub(super) use calls::look;

/// One path of a watched call, read while the caller waited.
#[derive(Debug)]
struct Watched {
    attempt: Attempt,
    path: Vec<u8>,
    /// Where a relative path starts.
    base: Option<OwnedFd>,
}

/// Looks the path up and records a refusal if there is one.
fn examine(shared: &Shared, caller: &Caller<'_>, watched: &Watched, syscall: &'static str) {
    // Whatever cannot be found here failed, or will fail, for an ordinary reason.
    let Ok(Some((attempt, refused))) = refused(shared, caller, watched) else { return };
    let (reason, rule) = match shared.policy.fs.lookup(&refused, attempt.access) {
        Lookup::Allowed => return,
        Lookup::NoGrant => (Reason::NoGrant, None),
        Lookup::InsufficientAccess(rule) => (Reason::InsufficientAccess, Some(&rule.source)),
        Lookup::Protected => (Reason::Protected, None),
    };
    let execute = attempt.operation == Operation::Execute;
    let refusal = Refusal {
        kind: if execute { Kind::Exec } else { Kind::Fs },
        operation: attempt.operation,
        target: watched.path.clone(),
        resolved: Some(refused.as_bytes().to_vec()),
        syscall,
        errno: Errno::EACCES,
        layer: Layer::Landlock,
        reason,
        rule,
        confidence: Confidence::Observed,
    };
    shared.record(caller, refusal);
}

/// What the rules refuse and ordinary permissions allow, and where; `None` if nothing.
fn refused(
    shared: &Shared,
    caller: &Caller<'_>,
    watched: &Watched,
) -> Result<Option<(Attempt, AbsPath)>, Errno> {
    let Watched { attempt, path, base } = watched;
    let denied = |attempt: &Attempt, place: &AbsPath| {
        shared.policy.fs.lookup(place, attempt.access) != Lookup::Allowed
    };
    if let Some(place) = existing(caller, watched)? {
        let attempt = attempt.settled(true);
        let yes = denied(&attempt, &place.path) && permitted(&place.object, attempt.access);
        return Ok(yes.then_some((attempt, place.path)));
    }
    let attempt = attempt.settled(false);
    let new = resolve_new(caller, base.as_ref(), path)?;
    let folder = new.folder.object.as_fd();
    let name = OsStr::from_bytes(&new.name);
    let exists = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok();
    let target = new.path()?;
    let yes = exists == (attempt.target == Target::ParentOfExisting)
        && denied(&attempt, &target)
        && permitted(&new.folder.object, Access::WRITE | Access::EXECUTE);
    Ok(yes.then_some((attempt, target)))
}

/// The object the call is about; `None` if it is about a name in a folder.
fn existing(caller: &Caller<'_>, watched: &Watched) -> Result<Option<Place>, Errno> {
    let Watched { attempt, path, base } = watched;
    let object = |last| resolve(caller, base.as_ref(), path, last);
    match attempt.target {
        Target::Object => object(Last::Follow).map(Some),
        Target::Link => object(Last::NoFollow).map(Some),
        Target::ObjectOrParent => match object(Last::Follow) {
            Err(Errno::ENOENT) => Ok(None),
            other => other.map(Some),
        },
        Target::Parent | Target::ParentOfExisting => Ok(None),
    }
}

/// Whether ordinary permissions allow it. Asked with the command's own identity: the supervisor has
/// its user and none of root's rights. `access` is not restricted by Landlock.
fn permitted(object: &OwnedFd, access: Access) -> bool {
    let mut mode = AccessFlags::F_OK;
    for (ours, theirs) in [
        (Access::READ, AccessFlags::R_OK),
        (Access::WRITE, AccessFlags::W_OK),
        (Access::EXECUTE, AccessFlags::X_OK),
    ] {
        if access.contains(ours) {
            mode |= theirs;
        }
    }
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());
    faccessat(nix::fcntl::AT_FDCWD, path.as_str(), mode, AtFlags::empty()).is_ok()
}
