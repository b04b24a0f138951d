//! How much of the network there is.

use crate::rate::MediationMode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much of the network there is, the narrowest first: each mode allows all that the ones
/// before it do, with the same lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NetworkMode {
    /// Nothing, not even this machine: sockets for IP cannot be made.
    None,
    /// This machine's loopback addresses.
    Loopback,
    /// Loopback, and the listed hosts through the run's proxy.
    Proxy,
    /// The same, and the listed addresses directly.
    Hosts,
    /// Any address.
    Open,
}

impl NetworkMode {
    /// All of them, the narrowest first.
    pub const ALL: [NetworkMode; 5] =
        [Self::None, Self::Loopback, Self::Proxy, Self::Hosts, Self::Open];

    /// What it is called in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Loopback => "loopback",
            Self::Proxy => "proxy",
            Self::Hosts => "hosts",
            Self::Open => "open",
        }
    }

    /// Whether a run in this mode has a proxy.
    #[must_use]
    pub fn has_proxy(self) -> bool {
        matches!(self, Self::Proxy | Self::Hosts)
    }

    /// What spends a token: where there is a proxy, every call about an address is its business.
    #[must_use]
    pub fn charged(self) -> MediationMode {
        if self.has_proxy() { MediationMode::Proxy } else { MediationMode::AfUnixOnly }
    }

    /// Whether no address outside of this machine is reached directly, so that a run can do without
    /// the machine's network.
    #[must_use]
    pub fn stays_here(self) -> bool {
        matches!(self, Self::None | Self::Loopback | Self::Proxy)
    }

    /// Whether addresses outside of this machine are closed unless they are listed. Then addressed
    /// sends and listening are looked at as well.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Loopback | Self::Proxy | Self::Hosts)
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
