//! Why a run is not started.

use super::registry::KEY_FOR;
use nono_sandbox::control::ControlError;
use std::io;

/// Why a run is not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// As many runs are live as the server allows.
    #[error(
        "{limit} commands are running already, which is the limit, and the queue is \
         full or did not move; wait for one to end, or end one with run_signal: {runs}"
    )]
    Busy {
        /// The limit.
        limit: u32,
        /// What runs.
        runs: String,
    },
    /// A request key stands for another request.
    #[error(
        "the request_key `{key}` was used for a different call in the last {} minutes; use a new \
         key for a new command",
        KEY_FOR.as_secs() / 60
    )]
    KeyInUse {
        /// The key.
        key: String,
    },
    /// The server is ending.
    #[error("the server is shutting down; nothing was run")]
    ShuttingDown,
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The plan could not be handed to the supervisor.
    #[error("cannot hand the run to its supervisor: {0}")]
    Handover(#[from] ControlError),
}

impl StartError {
    /// Adds what was being done to a system error, for `map_err`.
    pub(super) fn doing(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
