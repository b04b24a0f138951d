//! The result of every tool that runs something.
//!
//! Fields stand in order of importance, because clients cut results at the end: verdict and
//! denials first, bulk output after.

use crate::denial::Denials;
use crate::network::Network;
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
    /// The position behind the output shown here; pass it to `run_read` as `after_seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_seq: Option<u64>,
    /// What was done to the output to make it text; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_flags: Option<TextFlags>,
    /// The process that waits for input, seen in the kernel's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingItem>,
    /// Time until a running command is killed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left_ms: Option<u64>,
    /// Socket calls that were slowed down for being many. None was refused for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited: Option<u64>,
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
    /// What the call asked to do without; absent if nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrowed: Vec<String>,
    /// Whether everything the profile asks for is enforced.
    pub enforced: Enforced,
    /// What enforces it: all of it in the first answer of a session, in answers with denials, and
    /// where nothing was run or the call asked for less. In others what is not enforced although
    /// the profile asks for it, if there is such a layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerItem>,
    /// Folders that may be written, at most eight; in the answers that have all layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamTruncation {
    /// Bytes the command wrote.
    pub total_bytes: u64,
    /// Lines the command wrote.
    pub total_lines: u64,
    /// Bytes left out between the head and the tail.
    pub omitted_bytes: u64,
    /// Bytes among them that were not kept, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_bytes: u64,
    /// Lines of the omitted part that look like errors, with their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The call that reads the omitted part.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub read_with: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was done to output to make it text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextFlags {
    /// Terminal sequences were taken out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ansi_stripped: bool,
    /// Lines that were overwritten with a carriage return and left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cr_collapsed: u64,
    /// Sequences that are no UTF-8 and were replaced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub invalid_utf8: u64,
    /// Characters that nobody sees, or that turn the direction of text, and were replaced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub invisible: u64,
    /// Secrets of the operator that were taken out of the run's output so far; `[redacted NAME]`
    /// stands in their place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redactions: u64,
    /// The output is no text and was left out; it can be read as a resource.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
}

/// A process that is blocked until it gets input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingItem {
    /// What it reads.
    #[serde(rename = "for")]
    pub on: WaitsFor,
    /// Its process id.
    pub pid: i32,
    /// Its program.
    pub exe: String,
}

/// What a waiting process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// Standard input.
    Stdin,
    /// The terminal.
    Tty,
}

/// The process tree of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processes {
    /// Processes that outlived the command and were killed.
    pub leftover_killed: u32,
    /// Processes that run now, of a run that goes on; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<ProcessItem>,
    /// How many there are in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_total: Option<u32>,
    /// Sockets that accept connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listening: Vec<ListeningItem>,
    /// What held the tree together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeTier>,
}

/// What holds the processes of a run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TreeTier {
    /// The run's process namespace, which ends with its supervisor.
    Namespace,
    /// The run's Landlock domain, signalled as one.
    Domain,
    /// The supervisor's repeated sweep.
    Sweep,
}

/// A process of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessItem {
    /// Its id.
    pub pid: i32,
    /// Its program.
    pub exe: String,
    /// The name it was started by.
    pub argv0: String,
}

/// A listening socket of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListeningItem {
    /// Address and port; of an AF_UNIX socket its path as the program gave it, or `@` and its name.
    pub address: String,
    /// Who has it open.
    pub pid: i32,
}

/// The runs a server knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// How long ago the server was started, in milliseconds; runs from before are not known.
    pub server_age_ms: u64,
    /// How many run now.
    pub live: u32,
    /// The runs, the newest first.
    pub runs: Vec<RunItem>,
}

/// One run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunItem {
    /// Its name.
    pub run_id: String,
    /// How it stands.
    pub status: RunStatus,
    /// The exit code, if the command exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The command, shortened.
    pub command: String,
    /// Time since its start, in milliseconds.
    pub age_ms: u64,
    /// Bytes written to both streams.
    pub output_bytes: u64,
    /// Time until it is killed, in milliseconds, if it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left_ms: Option<u64>,
    /// Sockets it listens on, if it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listening: Vec<ListeningItem>,
    /// The process that waits for input, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingItem>,
}
