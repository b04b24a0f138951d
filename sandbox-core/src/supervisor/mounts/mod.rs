//! Mounts of a run's own, where it has a mount namespace.

mod own_view;
pub(super) mod seal;

pub(super) use own_view::{attempt, make};

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::OwnedFd;

/// What kind of object it is.
fn kind(object: &OwnedFd) -> Result<SFlag, Errno> {
    Ok(SFlag::from_bits_truncate(fstat(object)?.st_mode) & SFlag::S_IFMT)
}
