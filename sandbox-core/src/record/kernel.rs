//! What the kernel's audit log says of a run.

use super::Operation;
use crate::policy::Access;
use serde::{Deserialize, Serialize};

/// Something that Landlock refused. What was refused by a nested sandbox of the command's own reads
/// the same, so it becomes a [`Denial`](super::Denial) only once the run's rules confirm it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRefusal {
    /// What was attempted.
    pub operation: Operation,
    /// What the rules would have to give.
    pub access: Access,
    /// The object; if `in_folder`, the folder in which a name was to be made, removed or moved.
    /// The kernel does not tell the name.
    pub path: Vec<u8>,
    /// What `path` is.
    pub in_folder: bool,
    /// Name of the system call, or `syscall N`; empty if the log has no record of it.
    pub syscall: String,
    /// What the program saw, as a positive errno.
    pub errno: i32,
    /// Process (thread group) in the server's numbers; 0 if the log has no record of the call.
    pub pid: i32,
    /// Its executable; empty likewise.
    pub exe: Vec<u8>,
    /// Milliseconds after the start of the run.
    pub at_ms: u64,
}
