//! File-system calls, watched so that what Landlock refuses can be told (requirement D1).
//!
//! The kernel decides: a watched call is answered "go on" whatever is found, so watching can not
//! weaken a verdict. There is one exception: what the profile protects in trees that may be written
//! ([`Protected`](crate::policy::Protected)). Landlock has no rules for that, so a call that would
//! change it is refused here; and so is a call that may be such a one, where nobody can find out
//! which object it is about. A program that changes its arguments at the right moment gets past
//! that. Mounts stand behind it then, where there are any (`supervisor/mounts/seal.rs`).
//!
//! A refusal is recorded only where the sandbox made the difference: the rules the kernel enforces
//! refuse the call, the object exists (or could have been made), is of a kind the call can work on,
//! and ordinary permissions would have allowed it.
//!
//! Not foreseen, and so recorded although they would have failed anyway: removing a folder that is
//! not empty, a full disk, a quota.

mod by_number;
mod calls;
mod kernel;
mod moves;
mod quoted;
mod refused;
mod response;
mod signals;
mod watched;

use super::mediate::place::{LeadsTo, NewPlace};
use super::mediate::resolve::Last;
use super::mediate::{Caller, Refusal, Shared, pinned};
use crate::AbsPath;
use crate::decide::{Attempt, FileKind, Fit, Target};
use crate::policy::{Access, FsPolicy, Lookup};
use crate::record::{Kind, Operation, Reason};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{AccessFlags, faccessat, geteuid};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

pub(super) use by_number::judge as judge_number;
pub(super) use calls::look;
pub(super) use kernel::{confirm, confirms};
pub(super) use quoted::{Ran, infer, infers, reads_unseen};
pub(super) use refused::refuse;
use response::{Response, decided};
use watched::{Start, Watched};

/// Looks the path up and records a refusal if there is one.
fn examine(
    shared: &Shared,
    caller: &Caller<'_>,
    watched: &Watched,
    syscall: &'static str,
) -> Response {
    match refused(shared, caller, watched) {
        Ok(Some(refused)) => judge(shared, caller, watched, refused, syscall),
        Ok(None) => Response::GoOn,
        Err(errno) => {
            let covered = (errno == Errno::EACCES)
                .then(|| behind_cover(&shared.policy().fs, watched))
                .flatten();
            if let Some(refused) = covered {
                judge(shared, caller, watched, refused, syscall);
            }
            let may_change_protected = shared.protects() && watched.attempt.may_change();
            Response::without_look(may_change_protected, errno)
        }
    }
}

/// Records what the rules refuse.
fn judge(
    shared: &Shared,
    caller: &Caller<'_>,
    watched: &Watched,
    refused: RefusedAttempt,
    syscall: &'static str,
) -> Response {
    let RefusedAttempt { attempt, path, by_name } = refused;
    let answer = answer(&shared.policy().fs, &path, &attempt, by_name);
    let Some((reason, rule)) = Reason::of(answer) else { return Response::GoOn };
    let (layer, confidence, response) = decided(reason);
    if response == Response::GoOn && !shared.policy().observe.watches() {
        return response;
    }
    let execute = attempt.operation == Operation::Execute;
    let refusal = Refusal {
        kind: if execute { Kind::Exec } else { Kind::Fs },
        operation: attempt.operation,
        access: attempt.access,
        target: watched.path.clone(),
        resolved: Some(path.as_bytes().to_vec()),
        host: None,
        syscall,
        errno: Errno::EACCES,
        layer,
        reason,
        rule,
        confidence,
    };
    shared.record(caller, refusal);
    response
}

/// What the rules refuse and ordinary permissions allow, and where.
struct RefusedAttempt {
    attempt: Attempt,
    path: AbsPath,
    /// Whether it is about the name in its folder.
    by_name: bool,
}

fn lookup<'p>(fs: &'p FsPolicy, path: &AbsPath, access: Access, by_name: bool) -> Lookup<'p> {
    if by_name { fs.lookup_name(path, access) } else { fs.lookup(path, access) }
}

/// What the policy says about an attempt.
fn answer<'p>(fs: &'p FsPolicy, path: &AbsPath, attempt: &Attempt, by_name: bool) -> Lookup<'p> {
    match lookup(fs, path, attempt.access, by_name) {
        // A folder that is made is empty; what a link leads to is not.
        Lookup::Allowed if attempt.fit == Fit::NewLink => {
            fs.protected_by_name(path).map_or(Lookup::Allowed, Lookup::Protected)
        }
        answer => answer,
    }
}

fn refused(
    shared: &Shared,
    caller: &Caller<'_>,
    watched: &Watched,
) -> Result<Option<RefusedAttempt>, Errno> {
    let attempt = &watched.attempt;
    let fs = &shared.policy().fs;
    let place = match existing(caller, watched)? {
        // No rule is about what has no path.
        Some(LeadsTo::Unnamed) => return Ok(None),
        Some(LeadsTo::Place(place)) => Some(place),
        None => None,
    };
    if let Some(place) = place {
        let attempt = attempt.settled(true);
        let answer = answer(fs, &place.path, &attempt, false);
        // What is protected may be sealed against writing, and what is denied be covered: both look
        // like a missing permission.
        let permitted = || {
            matches!(answer, Lookup::Protected(_))
                || fs.hides(&place.path)
                || permitted(&place.object, needed(&attempt))
        };
        let yes = answer != Lookup::Allowed
            && attempt.fit.admits(FileKind::of(&fstat(&place.object)?))
            && permitted();
        return Ok(yes.then_some(RefusedAttempt { attempt, path: place.path, by_name: false }));
    }
    let attempt = attempt.settled(false);
    let new = match attempt.target {
        Target::ObjectOrParent => watched.find_made(caller)?,
        _ => watched.find_new(caller)?,
    };
    let path = new.path()?;
    let answer = answer(fs, &path, &attempt, true);
    let sealed = matches!(answer, Lookup::Protected(_));
    let yes = answer != Lookup::Allowed && (fs.hides(&path) || possible(&attempt, &new, sealed)?);
    Ok(yes.then_some(RefusedAttempt { attempt, path, by_name: true }))
}

/// A call about something in a folder that is covered: nobody can say whether it is there, and that
/// is what the cover is for. Told by the path as it was written.
fn behind_cover(fs: &FsPolicy, watched: &Watched) -> Option<RefusedAttempt> {
    let path = OsStr::from_bytes(&watched.path);
    let path = match &watched.start {
        Start::Plain { path, .. } => path.clone(),
        Start::In(None) => AbsPath::new(path).ok()?,
        Start::In(Some(folder)) => pinned::path(folder).ok()?.join(path).ok()?,
    };
    let attempt = watched.attempt.settled(true);
    fs.hides(&path).then_some(RefusedAttempt { attempt, path, by_name: false })
}

/// What ordinary permissions must give on an object. A file without a name is made in its folder.
fn needed(attempt: &Attempt) -> Access {
    match (attempt.operation, attempt.fit) {
        (Operation::Create, Fit::Folder) => Access::WRITE | Access::EXECUTE,
        _ => attempt.access,
    }
}

/// Whether the name could be made or removed without the sandbox. `sealed`: its folder may be
/// sealed against writing, so the permissions on it say nothing.
fn possible(attempt: &Attempt, new: &NewPlace, sealed: bool) -> Result<bool, Errno> {
    let folder = &new.folder.object;
    let name = OsStr::from_bytes(&new.name);
    let there = fstatat(folder.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW).ok();
    let fits = match (attempt.target, &there) {
        (Target::ParentOfExisting, Some(stat)) => {
            attempt.fit.admits(FileKind::of(stat)) && !protects_sticky(folder, stat)?
        }
        (Target::ParentOfExisting, None) => false,
        // It came to be since it was looked for, and would be opened.
        (Target::ObjectOrParent, Some(_)) => sealed,
        (_, there) => there.is_none(),
    };
    Ok(fits && (sealed || permitted(folder, Access::WRITE | Access::EXECUTE)))
}

/// The object the call is about; `None` if it is about a name in a folder.
fn existing(caller: &Caller<'_>, watched: &Watched) -> Result<Option<LeadsTo>, Errno> {
    let object = |last| watched.find(caller, last);
    match watched.attempt.target {
        Target::Object => object(Last::Follow).map(Some),
        Target::Link => object(Last::NoFollow).map(Some),
        Target::ObjectOrParent => match object(Last::Follow) {
            Err(Errno::ENOENT) => Ok(None),
            other => other.map(Some),
        },
        Target::Parent | Target::ParentOfExisting => Ok(None),
    }
}

/// Whether a sticky folder keeps others from removing this (inode(7)).
fn protects_sticky(folder: &OwnedFd, object: &FileStat) -> Result<bool, Errno> {
    let folder = fstat(folder)?;
    let sticky = Mode::from_bits_truncate(folder.st_mode).contains(Mode::S_ISVTX);
    let own = geteuid().as_raw();
    Ok(sticky && object.st_uid != own && folder.st_uid != own)
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
    faccessat(AT_FDCWD, pinned::name(object).as_str(), mode, AtFlags::empty()).is_ok()
}
