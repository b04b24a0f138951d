//! What server and supervisor say to each other, and how it travels.
//!
//! The supervisor's standard input is one end of a stream socket pair. It is told once what its run
//! rests on (a sealed memory file with the [`Basis`](crate::plan::Basis)), a spare one before there is
//! anything to run. Then one message starts the run (a sealed memory file with the
//! [`Launch`](crate::plan::Launch), and stdin, stdout and stderr of the command), after that come
//! length-prefixed [`Order`]s; closing the socket ends the run at once.
//! The supervisor answers with length-prefixed [`Event`]s.

mod descriptors;
mod error;
mod introduction;
mod sight;
mod transport;

pub(crate) use descriptors::{receive_fds, receive_message, send_fds};
pub use error::ControlError;
pub use introduction::{Introduction, introduce, receive_introduction};
pub use sight::{Listening, ListensAt, Seen, Sight, Waiting, WaitsFor};
pub use transport::{
    Decoder, Received, Stdio, Work, receive_work, send_basis, send_event, send_order, send_start,
};
pub(crate) use transport::{seal, unseal};

use crate::AbsPath;
use crate::policy::Exceeded;
use crate::record::{Denial, DenialLog, KernelRefusal};
use crate::supervisor::SetupFailed;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What travels behind its length.
pub trait Message:
    Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug + PartialEq
{
}

impl Message for Order {}
impl Message for Event {}

/// What the server asks a supervisor to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// End the run: SIGTERM, then SIGKILL.
    Stop {
        /// The time between the two; the plan's if left out.
        grace: Option<Duration>,
    },
    /// End the run at once, because a limit that the server watches ran out.
    Kill(Exceeded),
    /// Send a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// To whom.
        to: SignalTo,
    },
    /// Look at the tree and answer with [`Event::Sight`].
    Look,
    /// After [`Event::Ended`]: look at the paths that the command's last words quote and answer
    /// with [`Event::Inferred`].
    Infer(Vec<Vec<u8>>),
    /// After [`Event::Ended`], where the kernel's audit log is read: say which of these the run's
    /// rules refuse, with [`Event::Confirmed`].
    Confirm(Vec<KernelRefusal>),
}

/// Which processes of a run a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalTo {
    /// All of them.
    Tree,
    /// The first one.
    Leader,
}

/// What the supervisor reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The command runs; its process id.
    Started(i32),
    /// The sandbox could not be built in full, so nothing ran.
    Refused(SetupFailed),
    /// What was built before there was a command is of no use for it, and nothing ran: another
    /// supervisor has to build it anew.
    Unusable(SetupFailed),
    /// The first process is gone, what it left goes on ([`Leftovers::Keep`]).
    ///
    /// [`Leftovers::Keep`]: crate::plan::Leftovers::Keep
    LeaderEnded(End),
    /// What the tree looks like, and what was refused so far.
    Sight {
        /// The tree.
        sight: Sight,
        /// As in [`Outcome`].
        denials: DenialLog,
        /// As in [`Outcome`].
        slowed: u64,
    },
    /// The run is over and nothing of it is left.
    Ended(Outcome),
    /// Reads among the quoted paths that nobody saw and the sandbox must have refused.
    Inferred(Vec<Denial>),
    /// What the rules of the run refuse, of what the kernel's audit log has.
    Confirmed(DenialLog),
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
    /// What found and killed the tree.
    pub tree: TreeTier,
    /// A limit that was hit, whether or not that ended the run.
    pub exceeded: Option<Exceeded>,
    /// What the policy keeps as it is and is not as it was before: changed by the run past the
    /// watch, or by somebody else meanwhile.
    pub changed: Vec<AbsPath>,
    /// Folders whose permissions changed, so that what the policy keeps in them could not be seen
    /// before or cannot be seen now.
    pub veiled: Vec<AbsPath>,
}

/// How the processes of a run were held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreeTier {
    /// The run's process namespace: it ends with its first process, the supervisor.
    Namespace,
    /// The run's Landlock domain: a signal to everybody reaches it alone (ABI 6).
    Domain,
    /// The subreaper's repeated sweep.
    Sweep,
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
    /// A limit ran out, and everything was killed.
    LimitExceeded(Exceeded),
}
