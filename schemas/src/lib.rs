//! Wire types of `nono-mcp`: what clients send, what they get back, and the profile file.
//!
//! These types cross a boundary and nothing else: the server converts them once, on the way in and
//! on the way out. The JSON Schemas made from them are checked in under `json/` and compared by a
//! test, so that a change of the wire shows in a review.

mod denial;
mod explain;
mod input;
pub mod profile_file;
mod result;
mod schema;

pub use denial::{
    Access, Confidence, DecidedBy, DenialItem, DenialKind, Denials, DeniedOperation,
    FilesystemGrant, Grant, Grantable, Reason, Relevance, Retry, Risk,
};
pub use explain::{Aim, ExplainParams};
pub use input::{
    DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT_MS, ExecParams, MAX_OUTPUT_BYTES, MAX_TIMEOUT_MS,
    MIN_OUTPUT_BYTES, MIN_TIMEOUT_MS, ShellParams,
};
pub use result::{
    Enforced, LayerItem, Network, Processes, RunResult, RunStatus, SandboxItem, StreamTruncation,
    Truncation,
};
pub use schema::{Schema, exec_schema, explain_schema, result_schema, shell_schema};
