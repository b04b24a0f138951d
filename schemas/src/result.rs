//! The result of every tool that runs something.
//!
//! Fields stand in order of importance, because clients cut results at the end: verdict and
//! denials first, bulk output after.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// What became of the run.
    pub status: RunStatus,
    /// The exit code, if the command exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the command, such as SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Names the run; absent if nothing was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// One line: what happened, and what to do about it.
    pub summary: String,
    /// What the sandbox refused.
    pub denials: Denials,
    /// The sandbox the command ran in.
    pub sandbox: SandboxItem,
    /// Standard output: valid UTF-8, without terminal sequences.
    pub stdout: String,
    /// Standard error: valid UTF-8, without terminal sequences.
    pub stderr: String,
    /// What was left out of stdout and stderr; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    /// Wall-clock time of the run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// CPU time of the whole process tree, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Largest resident set of any one process, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// The process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The command ended by itself; see `exit_code`.
    Exited,
    /// The command goes on; the output is what there is so far.
    Running,
    /// The wall-clock limit passed; the process tree was killed.
    TimedOut,
    /// A signal killed the command; see `signal`.
    Killed,
    /// The caller asked for the end.
    Cancelled,
    /// Nothing was run; `summary` says why.
    Refused,
}

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
}

/// What refused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedBy {
    /// `mediation` or `landlock`.
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

/// The sandbox a command ran in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxItem {
    /// The profile's name.
    pub profile: String,
    /// Whether everything the profile asks for is enforced.
    pub enforced: Enforced,
    /// What enforces it.
    pub layers: Vec<LayerItem>,
    /// Folders that may be written, at most eight.
    pub writable_roots: Vec<String>,
    /// What may be reached over IP.
    pub network: Network,
}

/// Whether everything a profile asks for is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforced {
    /// Every layer the profile needs is active.
    Full,
    /// A layer the profile needs is missing; `layers` says which.
    Partial,
}

/// One layer of protection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerItem {
    /// Stable name.
    pub name: String,
    /// Whether it is enforced.
    pub active: bool,
    /// What is missing or switched off; absent for active layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What may be reached over IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Any address.
    Open,
}

/// What was left out of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Truncation {
    /// Of standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StreamTruncation>,
    /// Of standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<StreamTruncation>,
}

/// What was left out of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamTruncation {
    /// Bytes the command wrote.
    pub total_bytes: u64,
    /// Lines the command wrote.
    pub total_lines: u64,
    /// Bytes left out between the head and the tail.
    pub omitted_bytes: u64,
}

/// The process tree of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processes {
    /// Processes that outlived the command and were killed.
    pub leftover_killed: u32,
}
