//! The audit log: one JSON object a line, each bound to the one before by a hash.

use crate::denial::{DenialKind, DeniedOperation};
use crate::result::RunStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of this format.
pub const AUDIT_VERSION: u32 = 1;

/// A line of the log: an entry, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLine {
    /// What happened.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// SHA-256 of the line up to `,"hash":`, in hexadecimal.
    pub hash: String,
}

/// What happened, and after what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Version of the format.
    pub v: u32,
    /// The line's number in its log, counted from 1.
    pub seq: u64,
    /// UTC, RFC 3339 with milliseconds.
    pub time: String,
    /// Which server wrote the line: random, new with each start.
    pub server: String,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// `hash` of the line before; zeros in the first line.
    pub prev: String,
}

/// A principal of a server, and the rules its commands are under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPrincipal {
    /// What it is called.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// SHA-256 of everything that profile says here.
    pub profile_hash: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AuditEvent {
    /// A server began to write here.
    ServerStarted {
        /// Its version.
        version: String,
        /// Its process.
        pid: u32,
        /// The user it runs as, and whose rights commands have at most.
        uid: u32,
        /// The profile it was started with.
        profile: String,
        /// SHA-256 of everything that profile says here.
        profile_hash: String,
        /// Each principal's profile, if the server has several; `profile` is the first one's then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        principals: Vec<AuditPrincipal>,
    },
    /// A server ended as it should.
    ServerEnded,
    /// A call that runs a command, or does something to one that runs. Written before it is done.
    Call {
        /// Who called.
        who: AuditWho,
        /// Which tool, or `nono-mcp run` for the command line.
        tool: String,
        /// The run it starts or is about.
        run_id: String,
        /// The profile the command runs in.
        profile: String,
        /// SHA-256 of everything that profile says here.
        profile_hash: String,
        /// What is run. Only there if the operator asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<AuditArguments>,
    },
    /// The call started nothing.
    NotStarted {
        /// The run it would have been.
        run_id: String,
        /// Why.
        why: NotStarted,
    },
    /// A run is over and nothing of it is left.
    Ended(AuditEnd),
    /// What is left of a line whose writer was stopped in the middle of it stands before this one.
    Recovered {
        /// Its length.
        bytes: u64,
        /// SHA-256 of it.
        sha256: String,
    },
    /// Lines could not be written before this one, for want of disk space or such.
    Lost {
        /// How many.
        lines: u64,
    },
}

/// Who called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditWho {
    /// The principal that the caller's token belongs to; absent where there are no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// What the client calls itself; nothing vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What a call asked to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditArguments {
    /// Program and arguments; bytes that are no UTF-8 are replaced.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: String,
    /// Arguments that were left out for being too long in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why a call started nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotStarted {
    /// The sandbox cannot be built on this machine.
    NoSandbox,
    /// The call cannot be planned with this profile.
    Unplannable,
    /// As many runs are live as may be.
    Busy,
    /// Its `request_key` stands for a run that was started before.
    Repeated,
    /// Its `request_key` stands for another call.
    KeyInUse,
    /// The server is ending.
    ShuttingDown,
    /// A system call failed.
    Failed,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEnd {
    /// The run.
    pub run_id: String,
    /// What became of it.
    pub status: RunStatus,
    /// The exit code, if the command exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Wall-clock time, in milliseconds.
    pub duration_ms: u64,
    /// What the sandbox refused.
    pub denials: AuditDenials,
    /// Standard output; of a terminal, everything.
    pub stdout: AuditStream,
    /// Standard error.
    pub stderr: AuditStream,
}

/// What the sandbox refused, reported or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditDenials {
    /// Refusals, repetitions included.
    pub total: u64,
    /// The first of them, each different.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<AuditDenial>,
}

/// One refused thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditDenial {
    /// Part of the sandbox.
    pub kind: DenialKind,
    /// What was attempted.
    pub operation: DeniedOperation,
    /// On what, made safe to read.
    pub target: String,
    /// How often.
    pub count: u64,
}

/// A stream of a run: all that came, kept or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditStream {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}
