//! Renames and hard links, which the rules judge by both names at once.

use super::response::{Response, decided};
use super::watched::Watched;
use super::{permitted, protects_sticky};
use crate::AbsPath;
use crate::decide::{FileKind, Obstacle, Relocation, relocation};
use crate::policy::{Access, FsIndex, FsPolicy, Lookup};
use crate::record::{Kind, Operation, Reason};
use crate::supervisor::mediate::place::NewPlace;
use crate::supervisor::mediate::{Caller, Refusal, Shared};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstat, fstatat};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// A rename or link, read while its caller waits.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) from: Watched,
    pub(super) to: Watched,
    pub(super) how: Relocation,
    /// Whether an existing new name is replaced.
    pub(super) replace: bool,
}

impl Moving {
    /// Whether both names are what they seem, and nothing is against the move.
    fn is_plainly_allowed(&self, index: &FsIndex) -> bool {
        let (Some(from), Some(to)) = (self.from.written(), self.to.written()) else { return false };
        index.allows_move(from, to) && !self.from.may_have_links() && !self.to.may_have_links()
    }
}

/// Records a refusal if there is one. Nearly all moves need no look at what is there.
pub(super) fn examine(
    shared: &Shared,
    caller: &Caller<'_>,
    moving: &Moving,
    syscall: &'static str,
) -> Response {
    if moving.is_plainly_allowed(shared.index()) {
        return Response::GoOn;
    }
    let (obstacle, errno, place) = match refused(shared, caller, moving) {
        Ok(Some(found)) => found,
        Ok(None) => return Response::GoOn,
        Err(errno) => return Response::without_look(shared.protects(), errno),
    };
    let resolved = match place.path() {
        Ok(resolved) => resolved,
        Err(errno) => return Response::without_look(shared.protects(), errno),
    };
    let watched = if obstacle == Obstacle::From { &moving.from } else { &moving.to };
    let protected = shared.policy().fs.protected_by_name(&resolved);
    let answer = shared.policy().fs.lookup_name(&resolved, Access::WRITE);
    let (reason, rule) = Reason::of(answer).unwrap_or(match protected {
        Some(protected) => (Reason::Protected, Some(&protected.source)),
        None => (Reason::MoreRights, None),
    });
    let (layer, confidence, response) = decided(reason);
    if response == Response::GoOn && !shared.policy().observe.watches() {
        return response;
    }
    let link = moving.how == Relocation::Link;
    let refusal = Refusal {
        kind: Kind::Fs,
        operation: if link { Operation::Link } else { Operation::Rename },
        access: Access::WRITE,
        target: watched.path.clone(),
        resolved: Some(resolved.as_bytes().to_vec()),
        host: None,
        syscall,
        errno,
        layer,
        reason,
        rule,
        confidence,
    };
    shared.record(caller, refusal);
    response
}

fn refused(
    shared: &Shared,
    caller: &Caller<'_>,
    moving: &Moving,
) -> Result<Option<(Obstacle, Errno, NewPlace)>, Errno> {
    let (from, to) = (moving.from.find_new(caller)?, moving.to.find_new(caller)?);
    let old = stat(&from)?;
    let new = stat(&to).ok();
    let is_folder = FileKind::of(&old) == FileKind::Folder;
    let verdict =
        relocation(&shared.policy().fs, moving.how, &from.path()?, &to.path()?, is_folder);
    let Some((obstacle, errno)) = verdict else { return Ok(None) };
    let named = if obstacle == Obstacle::From { &from } else { &to };
    if !may_be_sealed(&shared.policy().fs, &named.path()?)
        && !ordinary(moving, &from, &to, &old, new.as_ref())?
    {
        return Ok(None);
    }
    let place = if obstacle == Obstacle::From { from } else { to };
    Ok(Some((obstacle, errno, place)))
}

/// Whether the name may look like another file system, or its folder like one without permission,
/// because what is protected there is sealed. What no rule lets be written is not.
fn may_be_sealed(fs: &FsPolicy, path: &AbsPath) -> bool {
    let writable =
        matches!(fs.lookup_name(path, Access::WRITE), Lookup::Allowed | Lookup::Protected(_));
    writable && fs.protected_by_name(path).is_some()
}

fn stat(place: &NewPlace) -> Result<FileStat, Errno> {
    let name = OsStr::from_bytes(&place.name);
    fstatat(place.folder.object.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Whether it would have worked without the sandbox, as far as that can be told beforehand.
fn ordinary(
    moving: &Moving,
    from: &NewPlace,
    to: &NewPlace,
    old: &FileStat,
    new: Option<&FileStat>,
) -> Result<bool, Errno> {
    let change = Access::WRITE | Access::EXECUTE;
    let folders = (&from.folder.object, &to.folder.object);
    let one_device = fstat(folders.0)?.st_dev == fstat(folders.1)?.st_dev;
    let (was, is) = (FileKind::of(old), new.map(FileKind::of));
    let fits = match (moving.how, is) {
        (Relocation::Link, _) => new.is_none() && was != FileKind::Folder && may_link(from, old),
        (Relocation::Exchange, there) => there.is_some(),
        (Relocation::Rename, None) => true,
        (Relocation::Rename, Some(_)) if !moving.replace => false,
        (Relocation::Rename, Some(there)) => {
            (was == FileKind::Folder) == (there == FileKind::Folder)
        }
    };
    let leaves = moving.how == Relocation::Link
        || (permitted(folders.0, change) && !protects_sticky(folders.0, old)?);
    Ok(one_device && fits && leaves && permitted(folders.1, change))
}

/// `fs.protected_hardlinks`, which nearly every system has on: one's own files, and regular ones
/// that may be read and written.
fn may_link(from: &NewPlace, old: &FileStat) -> bool {
    let own = old.st_uid == nix::unistd::geteuid().as_raw();
    let open = || {
        let mode = nix::unistd::AccessFlags::R_OK | nix::unistd::AccessFlags::W_OK;
        let name = OsStr::from_bytes(&from.name);
        nix::unistd::faccessat(from.folder.object.as_fd(), name, mode, AtFlags::empty()).is_ok()
    };
    own || (FileKind::of(old) == FileKind::Regular && open())
}
