//! What the sandbox refused, as results show it.

use crate::network::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the sandbox refused. Suppressed refusals and well-known probes are counted apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denials {
    /// Refusals, repetitions included.
    pub total: u64,
    /// Different refusals.
    pub distinct: u64,
    /// Entries in `items`.
    pub shown: u64,
    /// Refusals of `total` that are in no entry.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Refusals the profile keeps out of reports (`diagnostics.suppress_unix_sockets`,
    /// `diagnostics.suppress_paths`).
    pub suppressed: u64,
    /// Probes that programs make all the time and do well without; not in `total`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub benign: u64,
    /// Reads nobody saw and much speaks for: the program says that it was refused, and the rules
    /// do refuse it; not in `total`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inferred: u64,
    /// The item that most likely made the command fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely_cause: Option<String>,
    /// Why exit code 0 does not mean that every command succeeded, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<String>,
    /// How often in a row this command has met the same denial, from the third time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u32>,
    /// Misleading messages of programs, explained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The refusals, the most telling first.
    pub items: Vec<DenialItem>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

/// One refused thing, or several of one kind in one folder, folded over repetitions.
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
    /// The target as the program gave it, made safe to read; a folder, if `members` are more.
    pub target: String,
    /// The target after symbolic links and the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_target: Option<String>,
    /// The name a name server was asked for, where the question was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Different targets in the folder.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub members: u64,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
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
    /// Whether it made the command fail.
    pub relevance: Relevance,
    /// What speaks for that.
    pub why: String,
    /// Who can allow it.
    pub grantable: Grantable,
    /// What the operator could add to the profile to allow all of it; absent if nothing narrow can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// What the grant would put at stake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Why, and what else it would open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_why: Option<String>,
    /// What needs no grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
    /// Whether trying again can help.
    pub retry: Retry,
}

fn one() -> u64 {
    1
}

/// Part of the sandbox a denial belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// Connecting or sending to an address.
    NetConnect,
    /// Binding an address, or listening at one.
    NetBind,
    /// Asking a name server.
    Dns,
    /// A host that the run's proxy was asked for.
    NetProxy,
    /// A socket of a family, type or protocol that may not exist here.
    Socket,
    /// A system call that no command may make, or one about limits, priority or processors of
    /// somebody else.
    Syscall,
    /// A sandbox inside of the sandbox.
    NestedSandbox,
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
    /// Rename.
    Rename,
    /// Make a hard link.
    Link,
    /// Execute.
    Execute,
    /// Connect a socket.
    Connect,
    /// Bind a socket.
    Bind,
    /// Accept connections.
    Listen,
    /// Send to an address.
    Send,
    /// Send a signal.
    Signal,
    /// Use more of the machine.
    Use,
    /// Make a socket.
    Socket,
    /// Make a system call.
    Call,
}

/// The right an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// A system call.
    Call,
}

/// What refused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedBy {
    /// `mediation`, `landlock`, `seccomp`, `proxy` or `limits`.
    pub layer: String,
    /// The nearest rule, or that there is none.
    pub rule: String,
    /// Where that is written.
    pub source: String,
}

/// Why something was refused.
// Two values are older than the words of profiles and a contract by now: what `filesystem.deny` lists
// is `protected` in results, and what `filesystem.protect` lists is `kept`. This is the one place
// where they are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing in the profile covers the target.
    NoGrant,
    /// The profile covers the target, without this access.
    InsufficientAccess,
    /// A `deny` of the profile closes the target, which no grant opens, or it is one of the
    /// server's own files, which no profile opens.
    #[serde(rename = "protected")]
    Denied,
    /// The tree may be written, and the profile protects this in it, because something outside of
    /// the sandbox runs or obeys it.
    #[serde(rename = "kept")]
    Protected,
    /// The sandbox cannot judge this, or allows it to nobody.
    NotSupported,
    /// A limit of the profile, of the call or of the proxy ran out.
    LimitExceeded,
    /// Moved or linked there, the file would have more rights than where it is.
    MoreRights,
}

/// How a denial is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The sandbox made this decision itself.
    Enforced,
    /// The call was seen, and the rules the kernel enforces refuse it.
    Observed,
    /// The kernel's audit log has it, and the rules the kernel enforces refuse it.
    Audit,
    /// The call was not seen. The program says that it was refused, and the rules do refuse it; the
    /// target is there, and ordinary permissions would have allowed it.
    Inferred,
}

/// Whether a denial made the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relevance {
    /// Most likely.
    LikelyCause,
    /// It may have.
    Possible,
    /// Programs ask for this all the time and do without.
    Benign,
}

/// Who can allow something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grantable {
    /// The operator, in the profile. Nothing a caller can send changes it.
    OperatorOnly,
    /// Nobody by a grant: the target is protected.
    Never,
    /// Nobody: no kind of grant covers this.
    NotByGrant,
    /// The caller: the profile allows it, and this call asked to do without.
    ByCall,
}

/// A piece of a profile that would allow what was refused, tried on the rules in use. For the
/// operator: nothing a caller can send changes the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Entries for the profile's `filesystem` object.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filesystem: FilesystemGrant,
    /// Entries for the profile's `network` object.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: NetworkGrant,
    /// Entries for the profile's `linux` object.
    #[serde(default, skip_serializing_if = "is_default")]
    pub linux: LinuxGrant,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Entries for a profile's `network` object; see the profile's schema for their meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkGrant {
    /// The mode the entries need, where the profile has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Network>,
    /// Hosts to reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Ports to bind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,
    /// Ports that other machines may reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
}

/// Entries for a profile's `linux` object; see the profile's schema for their meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinuxGrant {
    /// Whether AF_UNIX datagram sockets may be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af_unix_datagram: Option<bool>,
}

/// What a grant puts at stake.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Caches and public files.
    Low,
    /// The user's own files.
    Medium,
    /// A way out of the sandbox, or something that runs outside of it later.
    High,
}

/// Entries for a profile's `filesystem` object; see the profile's schema for their meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesystemGrant {
    /// `false`: the profile is no longer read-only, without which no other entry has an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Folders to read, execute and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Folders to read and execute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Folders to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Files to read, execute and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_file: Vec<String>,
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
