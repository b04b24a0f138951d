//! The result of every tool that runs something.
//!
//! Fields stand in order of importance, because clients cut results at the end: verdict and
//! denials first, bulk output after.

use crate::denial::Denials;
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
    /// Nothing: sockets for IP cannot be made.
    None,
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
