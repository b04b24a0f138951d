//! What server and supervisor say to each other, and how it travels.
//!
//! The supervisor's standard input is one end of a stream socket pair. The server sends one
//! message with descriptors (a sealed memory file with the [`Plan`], then stdin, stdout and stderr
//! of the command); after that, one byte [`STOP`] asks for an early end, and closing the socket
//! ends the run at once. The supervisor answers with length-prefixed [`Event`]s.

mod transport;

pub use transport::{
    ControlError, Decoder, Received, Stdio, receive_start, send_event, send_start,
};

use crate::record::DenialLog;
use crate::supervisor::SetupFailed;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The byte that asks the supervisor to end the run: SIGTERM, grace, SIGKILL.
pub const STOP: u8 = b'S';

/// What the supervisor reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The command runs; its process id.
    Started(i32),
    /// The sandbox could not be built in full, so nothing ran.
    Refused(SetupFailed),
    /// The run is over and nothing of it is left.
    Ended(Outcome),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What ended the first process.
    pub end: End,
    /// Processes of the tree that outlived the first one and were killed.
    pub leftover_killed: u32,
    /// User and system time of everything that was reaped.
    pub cpu: Duration,
    /// Largest resident set of any one process, in bytes.
    pub peak_rss_bytes: u64,
    /// What was refused.
    pub denials: DenialLog,
    /// Mediated calls that had to wait for a token.
    pub slowed: u64,
    /// From the start of the command to the end of its tree.
    pub duration: Duration,
}

/// What ended the first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It returned this code.
    Exited(i32),
    /// This signal killed it, and nobody here had asked for that.
    Signaled(i32),
    /// The wall-clock limit passed.
    TimedOut,
    /// The server asked for the end.
    Cancelled,
}
