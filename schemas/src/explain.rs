//! Arguments of `sandbox_explain`.

use crate::input::RunNetwork;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked, about one thing; with nothing, the profile in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExplainParams {
    /// File or folder; relative to the first workspace folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What would be done with it. Default read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Aim>,
    /// UNIX socket to connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// Bind it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<bool>,
    /// Host to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Command whose program would be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// As in `shell`.
    #[schemars(description = "")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// As in `shell`.
    #[schemars(description = "")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<RunNetwork>,
    /// As in `shell`.
    #[schemars(description = "")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writable: Option<Vec<String>>,
    /// `d1` of the latest answer that had one, or RUN_ID:d1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial_id: Option<String>,
}

/// What would be done with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// Read or list.
    Read,
    /// Write, or make it if it is not there.
    Write,
    /// Execute.
    Execute,
    /// Make.
    Create,
    /// Remove.
    Delete,
}
