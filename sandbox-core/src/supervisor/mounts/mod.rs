//! Mounts of a run's own, where it has a mount namespace.

mod own_view;
pub(super) mod seal;

pub(super) use own_view::{attempt, make};

use crate::AbsPath;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::OwnedFd;

/// The object at a path, `None` if there is nothing that could be mounted over: nothing at all, or a
/// symbolic link. The path was canonical when the policy was made: a link in it was put there since.
pub(super) fn pin(path: &AbsPath) -> Result<Option<OwnedFd>, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let object = match openat2(AT_FDCWD, path.as_path(), how) {
        Ok(object) => object,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    Ok((kind(&object)? != SFlag::S_IFLNK).then_some(object))
}

/// What kind of object it is.
fn kind(object: &OwnedFd) -> Result<SFlag, Errno> {
    Ok(SFlag::from_bits_truncate(fstat(object)?.st_mode) & SFlag::S_IFMT)
}
