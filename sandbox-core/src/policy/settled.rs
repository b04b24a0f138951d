//! A policy that runs can rest on.

use super::{Observe, Policy, Protected};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Deref;

/// A policy that knows its machine: of what the profile asks runs to see differently, what they do
/// see is decided ([`Policy::settled`] makes one, and nothing else does). Questions go to the policy
/// inside; of that, only what is about single runs can be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledPolicy(pub(super) Policy);

impl Deref for SettledPolicy {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.0
    }
}

impl SettledPolicy {
    /// With what stays as it is by now.
    #[must_use]
    pub fn with_protected(mut self, protected: Vec<Protected>) -> Self {
        self.0.fs.protected = protected;
        self
    }

    /// With the address of the runs' proxy, if they have one.
    #[must_use]
    pub fn with_proxy(mut self, at: Option<SocketAddr>) -> Self {
        self.0.network.proxy = at;
        self
    }

    /// With so much watched.
    #[must_use]
    pub fn watching(mut self, observe: Observe) -> Self {
        self.0.observe = observe;
        self
    }
}
