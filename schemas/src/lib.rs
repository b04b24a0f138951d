//! Wire types of `nono-mcp`: what clients send, what they get back, and the profile file.
//!
//! These types cross a boundary and nothing else: the server converts them once, on the way in and
//! on the way out. The JSON Schemas made from them are checked in under `json/` and compared by a
//! test, so that a change of the wire shows in a review.

mod audit;
mod denial;
mod explain;
mod input;
mod network;
pub mod profile_file;
mod result;
mod run_input;
mod schema;

pub use audit::{
    AUDIT_VERSION, AuditArguments, AuditDenial, AuditDenials, AuditEnd, AuditEntry, AuditEvent,
    AuditLine, AuditPrincipal, AuditStream, AuditWho, NotStarted,
};
pub use denial::{
    Access, Confidence, DecidedBy, DenialItem, DenialKind, Denials, DeniedOperation,
    FilesystemGrant, Grant, Grantable, LinuxGrant, NetworkGrant, Reason, Relevance, Retry, Risk,
};
pub use explain::{Aim, ExplainParams};
pub use input::{
    DEFAULT_BACKGROUND_TIMEOUT_MS, DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT_MS, ExecParams,
    LimitParams, MAX_OUTPUT_BYTES, MAX_TIMEOUT_MS, MIN_OUTPUT_BYTES, MIN_TIMEOUT_MS, RunNetwork,
    RunOptions, ShellParams,
};
pub use network::Network;
pub use result::{
    Enforced, LayerItem, ListeningItem, ProcessItem, Processes, RunItem, RunList, RunResult,
    RunStatus, SandboxItem, StreamTruncation, TextFlags, TreeTier, Truncation, WaitingItem,
    WaitsFor,
};
pub use run_input::{
    MAX_WAIT_MS, MAX_WRITE_BYTES, RunListParams, RunReadParams, RunSignalParams, RunWriteParams,
    ScopeParam, SignalParam, StreamParam,
};
pub use schema::{
    Outline, Schema, audit_schema, exec_schema, explain_schema, outline, result_schema,
    run_list_schema, run_listed_schema, run_read_schema, run_signal_schema, run_write_schema,
    shallow, shell_schema, terse,
};
