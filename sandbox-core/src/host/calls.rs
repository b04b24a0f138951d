//! Calls that mediation makes and that containers commonly refuse, tried on this process itself.

use crate::sys;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

/// A call that a seccomp profile around the server may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterCall {
    /// The call, as documents name it.
    pub name: &'static str,
    /// What does not work without it.
    pub for_what: &'static str,
    /// What came of trying it.
    pub tried: Result<(), Errno>,
}

impl OuterCall {
    /// Tries all of them. One changes what its thread shares with others, so it is made by a thread
    /// of its own: not to be called before something that must be the only thread.
    #[must_use]
    pub fn try_all() -> [Self; 2] {
        let parted = std::thread::spawn(sys::unshare_file_attributes).join();
        [
            Self {
                name: "pidfd_getfd",
                for_what: "connecting to AF_UNIX sockets",
                tried: copy_of_own(),
            },
            Self {
                name: "unshare(CLONE_FS)",
                for_what: "binding AF_UNIX sockets to a path",
                tried: parted.unwrap_or(Err(Errno::EAGAIN)),
            },
        ]
    }
}

/// A copy of a descriptor of this process, made as one of another's would be.
fn copy_of_own() -> Result<(), Errno> {
    let file = File::open("/dev/null").map_err(|error| match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno),
        None => Errno::EIO,
    })?;
    let own = sys::open_pidfd(std::process::id().cast_signed())?;
    sys::duplicate_from(own.as_fd(), file.as_raw_fd()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_refuses_them_they_work() {
        for call in OuterCall::try_all() {
            assert_eq!(call.tried, Ok(()), "{}", call.name);
        }
    }
}
