//! Arguments of the tools for runs that were started before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest time `run_read` waits, in milliseconds.
pub const MAX_WAIT_MS: u64 = 600_000;
/// Longest text `run_write` takes, in bytes.
pub const MAX_WRITE_BYTES: usize = 1 << 20;

/// Arguments of `run_read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunReadParams {
    /// The run.
    #[schemars(length(min = 1))]
    pub run_id: String,
    /// Only output after this position, `next_seq` of an earlier answer; 0 for all. Default: what no
    /// answer has shown yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seq: Option<u64>,
    /// Only this stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamParam>,
    /// Wait so long for output (`grep`: a match), the end, or a need for input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600_000))]
    pub wait_ms: Option<u64>,
    /// Only lines that match this regular expression, with their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// Only these lines: `10-20`, `10-` or, for the last ten, `-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<String>,
    /// As in `shell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 262_144))]
    pub max_output_bytes: Option<u64>,
}

/// One of a command's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamParam {
    /// Both.
    All,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Arguments of `run_write`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunWriteParams {
    /// The run.
    #[schemars(length(min = 1))]
    pub run_id: String,
    /// Exactly these bytes; no line end is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Keys after the text, such as enter, tab, esc, up, page-down, f1, ctrl-c.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Then end the input (ctrl-d on a terminal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eof: Option<bool>,
    /// New size of the terminal, with `columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub rows: Option<u64>,
    /// New size of the terminal, with `rows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub columns: Option<u64>,
    /// Answer after this time at the latest. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600_000))]
    pub yield_ms: Option<u64>,
}

/// Arguments of `run_signal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSignalParams {
    /// The run.
    #[schemars(length(min = 1))]
    pub run_id: String,
    /// Default TERM. TERM and KILL for the tree end the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalParam>,
    /// Default: the whole process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeParam>,
    /// Time between TERM and KILL. Default 2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 60_000))]
    pub grace_ms: Option<u64>,
}

/// A signal that can be sent to a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalParam {
    /// As ctrl-c.
    Int,
    /// Asks to end.
    #[default]
    Term,
    /// Ends.
    Kill,
    /// As a terminal that is closed.
    Hup,
    /// As ctrl-\.
    Quit,
    /// Whatever the program makes of it.
    Usr1,
    /// Whatever the program makes of it.
    Usr2,
    /// Halts.
    Stop,
    /// Goes on.
    Cont,
}

/// Which processes get a signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeParam {
    /// All of the run.
    #[default]
    Tree,
    /// The first one.
    Leader,
}

/// Arguments of `run_list`: none.
#[derive(Debug, Clone, Default, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunListParams {}
