//! Mounts made of what is there already.

use super::own_returned;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// A second mount of the object behind `object` and of everything mounted below it, not yet
/// attached anywhere.
///
/// # Errors
/// As open_tree(2); `EPERM` without `CAP_SYS_ADMIN` over the mount namespace.
pub fn second_mount(object: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH.cast_unsigned()
        | libc::AT_RECURSIVE.cast_unsigned();
    // SAFETY: the path is a terminated string that the call only reads; the rest are integers.
    own_returned(unsafe {
        libc::syscall(libc::SYS_open_tree, object.as_raw_fd(), c"".as_ptr(), flags)
    })
}

/// Nothing can be written by way of this mount any more. Says nothing about its other flags, some
/// of which a user namespace may not change.
///
/// # Errors
/// As mount_setattr(2).
pub fn make_read_only(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a terminated string and `attributes` a live struct of the size that is
    // given; the call only reads both.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(|_| ())
}

/// Attaches `mount` over the object behind `over`.
///
/// # Errors
/// As move_mount(2).
pub fn attach(mount: BorrowedFd<'_>, over: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are terminated strings that the call only reads; the rest are integers.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            over.as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    })
    .map(|_| ())
}
