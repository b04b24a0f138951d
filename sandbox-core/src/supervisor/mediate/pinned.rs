//! Names for our own descriptors, to be given to system calls that take a path.
//!
//! A name leads to the object behind the descriptor and to nothing else, whatever happens to the
//! path it was found by. Names are relative: a supervisor works in its own `/proc/self/fd`, which
//! saves each call the walk there.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

/// Makes names valid in this process, for all of its threads but those that leave the folder.
pub(super) fn enter() -> Result<(), Errno> {
    nix::unistd::chdir("/proc/self/fd")
}

/// The name of a descriptor. Valid after [`enter`], for as long as the descriptor is open.
pub(in crate::supervisor) fn name(object: &OwnedFd) -> String {
    object.as_raw_fd().to_string()
}

/// The same as a UNIX address.
pub(super) fn address(object: &OwnedFd) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
    [&family[..], name(object).as_bytes(), b"\0"].concat()
}
