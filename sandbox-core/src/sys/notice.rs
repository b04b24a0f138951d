//! Watches and locks of files.

use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Watches what `path` means, links followed; the number of the watch.
///
/// # Errors
/// As inotify_add_watch(2).
pub fn add_watch(inotify: BorrowedFd<'_>, path: &str, mask: u32) -> Result<i32, Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the string is terminated and outlives the call, which only reads it.
    Errno::result(unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), mask) })
}

/// Locks or unlocks an open file.
///
/// # Errors
/// As flock(2).
pub fn lock_file(file: BorrowedFd<'_>, operation: i32) -> Result<(), Errno> {
    // SAFETY: flock takes two integers.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(|_| ())
}
