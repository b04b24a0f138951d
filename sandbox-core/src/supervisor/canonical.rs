//! Opening what a policy names. Its paths were canonical when it was made: a link on the way to one was
//! put there since, perhaps by an earlier run, and is not followed.

use crate::{AbsPath, StaticPath};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::os::fd::OwnedFd;

/// Where the kernel shows processes.
pub(super) const PROC: StaticPath = StaticPath::new("/proc");

/// How such a path is opened: nothing is done with the object but naming it.
pub(super) fn how(more: OFlag) -> OpenHow {
    OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | more)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// The object at a path.
pub(super) fn open(path: &AbsPath, more: OFlag) -> Result<OwnedFd, Errno> {
    openat2(AT_FDCWD, path.as_path(), how(more))
}

/// The object at a path, `None` if there is none that a policy can mean: nothing at all, a link, or
/// something in a folder that is closed to this process.
pub(super) fn find(path: &AbsPath) -> Result<Option<OwnedFd>, Errno> {
    match open(path, OFlag::empty()) {
        Ok(object) => Ok(Some(object)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| AbsPath::new(folder.path().join(name)).unwrap();
        std::fs::create_dir(folder.path().join("real")).unwrap();
        symlink("real", folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("real/file"), "").unwrap();
        assert!(find(&at("real/file")).unwrap().is_some());
        for nothing in ["link", "link/file", "missing", "real/file/below"] {
            assert!(find(&at(nothing)).unwrap().is_none(), "{nothing}");
        }
        assert_eq!(open(&at("real/file"), OFlag::O_DIRECTORY).unwrap_err(), Errno::ENOTDIR);
    }
}
