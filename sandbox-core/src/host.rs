//! What this kernel offers: asked once, and then a value that everything else is told from.

mod calls;
mod layers;
mod probe;

pub use calls::OuterCall;
pub use layers::{LayerState, Standing};
pub(crate) use layers::{MINIMUM_ABI, SCOPES_ABI};
pub(crate) use probe::may_administer;

use crate::namespaces::Namespaces;
use crate::plan::Cgroups;
use crate::policy::{Isolation, Policy};

/// The running kernel, as far as the sandbox depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// Landlock ABI; 0 if Landlock is missing or switched off.
    pub landlock_abi: u32,
    /// Whether seccomp offers user notification with a listener (Linux 5.0).
    pub seccomp_notify: bool,
    /// Yama's `ptrace_scope`; `None` without Yama.
    pub yama_scope: Option<u8>,
    /// Control groups this process is in, as far as groups can be made below them.
    pub cgroups: Cgroups,
    /// Memory of the machine, in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Whether this process could read kernel audit records (CAP_AUDIT_READ).
    pub audit: bool,
    /// Effective user id.
    pub uid: u32,
    /// The namespaces a run can have, or why it can have none. Found by a trial that only a process
    /// of its own can make ([`Host::with_namespaces`]); until then there are none.
    pub namespaces: Result<Namespaces, String>,
}

impl Host {
    /// With the result of a trial.
    #[must_use]
    pub fn with_namespaces(self, namespaces: Result<Namespaces, String>) -> Host {
        Host { namespaces, ..self }
    }

    /// The namespaces that runs of a policy are in.
    #[must_use]
    pub fn namespaces_for(&self, policy: &Policy) -> Option<Namespaces> {
        match policy.isolation {
            Isolation::Off => None,
            Isolation::Auto | Isolation::Required => self.namespaces.as_ref().ok().copied(),
        }
    }

    /// Whether runs of a policy have a network namespace of their own.
    #[must_use]
    pub fn isolates_network(&self, policy: &Policy) -> bool {
        policy.network.isolate != Isolation::Off
            && policy.network.mode.stays_here()
            && self.namespaces_for(policy).is_some()
    }

    /// This kernel, pretending to be no newer than the given Landlock ABI.
    #[must_use]
    pub fn limited(self, landlock_abi: Option<u32>) -> Host {
        let landlock_abi = self.landlock_abi.min(landlock_abi.unwrap_or(u32::MAX));
        Host { landlock_abi, ..self }
    }
}
