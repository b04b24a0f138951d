//! Names for our own descriptors, to be given to system calls that take a path.
//!
//! A name leads to the object behind the descriptor and to nothing else, whatever happens to the
//! path it was found by. Names are relative: a supervisor works in its own `/proc/self/fd`, which
//! saves each call the walk there.

use crate::AbsPath;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::sys::stat::FileStat;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Makes names valid in this process, for all of its threads but those that leave the folder.
pub(super) fn enter() -> Result<(), Errno> {
    nix::unistd::chdir("/proc/self/fd")
}

/// The name of a descriptor. Valid after [`enter`], for as long as the descriptor is open.
pub(in crate::supervisor) fn name(object: &OwnedFd) -> String {
    object.as_raw_fd().to_string()
}

/// Where the object is now; `ENOENT` if it is nowhere.
pub(in crate::supervisor) fn path(object: &OwnedFd) -> Result<AbsPath, Errno> {
    path_if_any(object)?.ok_or(Errno::ENOENT)
}

/// Where the object is now, if any path leads to it.
pub(super) fn path_if_any(object: &OwnedFd) -> Result<Option<AbsPath>, Errno> {
    let path = readlinkat(AT_FDCWD, name(object).as_str())?;
    // The kernel writes `pipe:[1]`, `socket:[2]`, `anon_inode:…` for what has no path, and
    // `(unreachable)…` for what is in another mount namespace.
    if path.as_bytes().first() != Some(&b'/') {
        return Ok(None);
    }
    AbsPath::new(path).map(Some).map_err(|_| Errno::ENOENT)
}

/// The same of an object that a program has open: a file without links belongs to whoever has it,
/// and what the kernel calls it leads nowhere, or to another file.
pub(super) fn path_if_linked(object: &OwnedFd, stat: &FileStat) -> Result<Option<AbsPath>, Errno> {
    if stat.st_nlink == 0 { Ok(None) } else { path_if_any(object) }
}

/// The name as a UNIX address.
pub(super) fn address(object: &OwnedFd) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
    [&family[..], name(object).as_bytes(), b"\0"].concat()
}
