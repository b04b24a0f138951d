//! The network of a run, as results and proposed grants name it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be reached over IP.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing: sockets for IP cannot be made.
    None,
    /// This machine's loopback addresses.
    Loopback,
    /// Loopback, and listed hosts through the run's proxy.
    Proxy,
    /// The same, and listed addresses directly.
    Hosts,
    /// Any address.
    Open,
}
