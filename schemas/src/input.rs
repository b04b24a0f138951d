//! Arguments of the tools `shell` and `exec`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wall-clock limit of a run that does not ask for one, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 120_000;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShellParams {
    /// The command line, run by `bash -c` (`sh -c` where there is no bash). At most 128 KiB.
    #[schemars(length(min = 1))]
    pub command: String,
    /// Working directory, absolute or relative to the first workspace folder. Default: the first
    /// workspace folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Environment variables on top of the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Text for standard input, at most 1 MiB. Without it, standard input is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Wall-clock limit in milliseconds; then the whole process tree is killed and the output so
    /// far is kept. Default 120000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: Option<u64>,
    /// Output bytes in the answer; longer output is cut in the middle. Default 16384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 262_144))]
    pub max_output_bytes: Option<u64>,
}

/// Arguments of `exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecParams {
    /// The program and its arguments, passed on as they are: no shell, no quoting. A program
    /// without a slash is looked up in PATH.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Working directory, absolute or relative to the first workspace folder. Default: the first
    /// workspace folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Environment variables on top of the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Text for standard input, at most 1 MiB. Without it, standard input is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Wall-clock limit in milliseconds; then the whole process tree is killed and the output so
    /// far is kept. Default 120000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: Option<u64>,
    /// Output bytes in the answer; longer output is cut in the middle. Default 16384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 262_144))]
    pub max_output_bytes: Option<u64>,
}
