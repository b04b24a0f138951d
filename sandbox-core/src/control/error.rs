//! Why a message cannot be sent or received.

use nix::errno::Errno;
use std::io;

/// Why a message could not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A system call failed.
    #[error("{call}")]
    Call {
        /// Which one.
        call: &'static str,
        /// Its errno.
        #[source]
        errno: Errno,
    },
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The plan or event does not have the expected shape.
    #[error("encode or decode")]
    Codec(#[source] postcard::Error),
    /// The peer closed the socket before it sent anything.
    #[error("closed before the start message")]
    Closed,
    /// The message does not have the expected shape.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
}

/// A system call that failed, for `map_err`.
pub(super) fn call(call: &'static str) -> impl FnOnce(Errno) -> ControlError {
    move |errno| ControlError::Call { call, errno }
}

/// Reading or writing that failed, for `map_err`.
pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> ControlError {
    move |source| ControlError::Io { what, source }
}
