//! File-system calls, watched so that what Landlock refuses can be told (requirement D1).
//!
//! The kernel decides; every call is answered "go on" before anything is looked up, so watching
//! can neither weaken nor change a verdict. A refusal is recorded only where the sandbox made the
//! difference: the rules the kernel enforces refuse the call, the object exists (or could have been
//! made) and ordinary permissions would have allowed it.

mod calls;

use super::mediate::resolve::{Last, resolve, resolve_new};
use super::mediate::{Caller, Refusal, Shared};
use crate::AbsPath;
use crate::decide::{Attempt, Target};
use crate::policy::{Access, Lookup};
use crate::record::{Confidence, Kind, Layer, Operation, Reason};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

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
    let Ok(Some(refused)) = refused(shared, caller, watched) else { return };
    let (reason, rule) = match shared.policy.fs.lookup(&refused, watched.attempt.access) {
        Lookup::Allowed => return,
        Lookup::NoGrant => (Reason::NoGrant, None),
        Lookup::InsufficientAccess(rule) => (Reason::InsufficientAccess, Some(&rule.source)),
        Lookup::Protected => (Reason::Protected, None),
    };
    let execute = watched.attempt.operation == Operation::Execute;
    let refusal = Refusal {
        kind: if execute { Kind::Exec } else { Kind::Fs },
        operation: watched.attempt.operation,
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

/// The path the rules refuse and ordinary permissions allow; `None` if there is none.
fn refused(
    shared: &Shared,
    caller: &Caller<'_>,
    watched: &Watched,
) -> Result<Option<AbsPath>, Errno> {
    let Watched { attempt, path, base } = watched;
    let denied =
        |place: &AbsPath| shared.policy.fs.lookup(place, attempt.access) != Lookup::Allowed;
    let object = |last| resolve(caller, base.as_ref(), path, last);
    let existing = match attempt.target {
        Target::Object => Some(object(Last::Follow)?),
        Target::Link => Some(object(Last::NoFollow)?),
        Target::ObjectOrParent => match object(Last::Follow) {
            Ok(place) => Some(place),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno),
        },
        Target::Parent | Target::ParentOfExisting => None,
    };
    if let Some(place) = existing {
        let yes = denied(&place.path) && permitted(&place.object, attempt.access);
        return Ok(yes.then_some(place.path));
    }
    let new = resolve_new(caller, base.as_ref(), path)?;
    let folder = new.folder.object.as_fd();
    let name = std::ffi::OsStr::new(std::str::from_utf8(&new.name).unwrap_or_default());
    let exists = nix::sys::stat::fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok();
    let wanted = match attempt.target {
        Target::ParentOfExisting => exists,
        Target::Object | Target::Link | Target::Parent | Target::ObjectOrParent => !exists,
    };
    let target = new.path()?;
    let allowed_by_mode = || permitted(&new.folder.object, Access::WRITE | Access::EXECUTE);
    Ok((wanted && denied(&target) && allowed_by_mode()).then_some(target))
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
