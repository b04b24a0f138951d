//! Arguments of the tools that start runs: `shell` and `exec`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wall-clock limit of a run that does not ask for one, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 120_000;
/// Wall-clock limit of a run in the background that does not ask for one, in milliseconds.
pub const DEFAULT_BACKGROUND_TIMEOUT_MS: u64 = MAX_TIMEOUT_MS;
/// Shortest wall-clock limit that can be asked for, in milliseconds.
pub const MIN_TIMEOUT_MS: u64 = 1;
/// Longest wall-clock limit that can be asked for, in milliseconds.
pub const MAX_TIMEOUT_MS: u64 = 3_600_000;
/// Output bytes in an answer that does not ask for more or less.
pub const DEFAULT_OUTPUT_BYTES: u64 = 16_384;
/// Fewest output bytes that can be asked for.
pub const MIN_OUTPUT_BYTES: u64 = 1_024;
/// Most output bytes that can be asked for.
pub const MAX_OUTPUT_BYTES: u64 = 262_144;

/// Arguments of `shell`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShellParams {
    /// The command line, run by `bash -c` (`sh -c` where there is no bash). At most 128 KiB.
    #[schemars(length(min = 1))]
    pub command: String,
    /// The rest.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// Arguments of `exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecParams {
    /// The program and its arguments, passed on as they are: no shell, no quoting. A program
    /// without a slash is looked up in PATH.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// The rest.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// What can be said of a run, whatever it runs. Names that are not here are refused by what this is
/// a part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunOptions {
    /// Working directory. Default, and base of relative ones: the first workspace folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Environment variables on top of the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Standard input, at most 1 MiB. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Keep standard input open for `run_write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_stdin: Option<bool>,
    /// Run on a terminal; output is in `stdout` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Wall-clock limit; then the tree is killed, output is kept.
    /// Default 120000, in the background 3600000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: Option<u64>,
    /// Answer after this time even if it still runs; then `run_read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3_600_000))]
    pub yield_ms: Option<u64>,
    /// For servers and the like: answer after half a second, and keep processes that outlive the
    /// command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// Bytes of output in the answer; the middle is cut. Default 16384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 262_144))]
    pub max_output_bytes: Option<u64>,
    /// Also stay within this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// At most this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<RunNetwork>,
    /// Write only here and to $TMPDIR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writable: Option<Vec<String>>,
    /// Lower limits than the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitParams>,
    /// Watch every file call: exact about reads, slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnose: Option<bool>,
    /// A repeated call with the same key gets the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub request_key: Option<String>,
}

/// How much network a call wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunNetwork {
    /// Nothing: sockets for IP cannot be made.
    None,
    /// This machine's loopback addresses.
    Loopback,
    /// Loopback, and listed hosts through the proxy.
    Proxy,
    /// Any address.
    Open,
}

/// Limits a call can lower; a number above the profile's is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitParams {
    /// Processor time of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cpu_ms: Option<u64>,
    /// Memory of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295u64))]
    pub processes: Option<u64>,
    /// Of one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub open_files: Option<u64>,
    /// Of one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub file_size_bytes: Option<u64>,
    /// Of both streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub output_bytes: Option<u64>,
}
