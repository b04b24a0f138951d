//! What the sandbox refused, as results show it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the sandbox refused, suppressed denials left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denials {
    /// Refusals, repetitions included.
    pub total: u64,
    /// Different refusals.
    pub distinct: u64,
    /// Entries in `items`.
    pub shown: u64,
    /// Refusals the profile keeps out of reports (`diagnostics.suppress_unix_sockets`).
    pub suppressed: u64,
    /// The refusals, the most telling first.
    pub items: Vec<DenialItem>,
}

/// One refused thing, folded over its repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DenialItem {
    /// Names the item within this result.
    pub id: String,
    /// Part of the sandbox.
    pub kind: DenialKind,
    /// What was attempted.
    pub operation: DeniedOperation,
    /// The right that was missing.
    pub access: Access,
    /// The target as the program gave it, made safe to read.
    pub target: String,
    /// The target after symbolic links and the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_target: Option<String>,
    /// Name of the system call.
    pub syscall: String,
    /// What the program saw, such as EACCES.
    pub errno: String,
    /// Process of the first occurrence.
    pub pid: i32,
    /// Its executable, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// How often.
    pub count: u64,
    /// What refused it.
    pub decided_by: DecidedBy,
    /// Why.
    pub reason: Reason,
    /// How this is known.
    pub confidence: Confidence,
    /// What the operator could add to the profile to allow it; absent if no profile can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// Whether trying again can help.
    pub retry: Retry,
}

/// Part of the sandbox a denial belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenialKind {
    /// A file or folder.
    Fs,
    /// An AF_UNIX socket.
    UnixSocket,
    /// Starting a program.
    Exec,
    /// A signal to a process outside.
    Signal,
    /// A limit on what one run may use.
    ResourceLimit,
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeniedOperation {
    /// Open, read or list.
    Read,
    /// Open for writing, truncate.
    Write,
    /// Create a file, folder, link or node.
    Create,
    /// Remove.
    Delete,
    /// Rename or link to another folder.
    Rename,
    /// Execute.
    Execute,
    /// Connect a socket.
    Connect,
    /// Bind a socket.
    Bind,
    /// Send to an address.
    Send,
    /// Send a signal.
    Signal,
    /// Use more of the machine.
    Use,
}

/// The right an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Reading.
    Read,
    /// Writing, creating, renaming, removing.
    Write,
    /// Executing.
    Execute,
    /// Connecting and sending.
    Connect,
    /// Binding.
    Bind,
    /// Signalling.
    Signal,
    /// Using the machine.
    Use,
}

/// What refused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedBy {
    /// `mediation`, `landlock` or `limits`.
    pub layer: String,
    /// The nearest rule, or that there is none, and where to go instead.
    pub rule: String,
    /// Where that is written.
    pub source: String,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing in the profile covers the target.
    NoGrant,
    /// The profile covers the target, without this access.
    InsufficientAccess,
    /// The target is protected; no profile can open it.
    Protected,
    /// The sandbox cannot judge this and so refuses it.
    NotSupported,
    /// A limit of the profile or of the call ran out.
    LimitExceeded,
}

/// How a denial is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The sandbox made this decision itself.
    Enforced,
    /// The call was seen, and the rules the kernel enforces refuse it.
    Observed,
}

/// A piece of a profile that would allow what was refused. For the operator: nothing a caller can
/// send changes the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Entries for the profile's `filesystem` object.
    pub filesystem: FilesystemGrant,
}

/// Entries for a profile's `filesystem` object; see the profile's schema for their meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesystemGrant {
    /// Folders to read and execute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Folders to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Files to read and execute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_file: Vec<String>,
    /// Files to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write_file: Vec<String>,
    /// Sockets to connect to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unix_socket: Vec<String>,
    /// Sockets to bind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_bind: Vec<String>,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same attempt is refused every time.
    NeverUnchanged,
}
