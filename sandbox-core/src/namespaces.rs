//! Namespaces of a run: the second layer, where the system allows it.
//!
//! A run in namespaces has process ids, System V and POSIX IPC objects, `/proc` and `/dev/shm` of
//! its own. Whether that can be had is found out once, by trying; from then on it is a part of every
//! plan, and a run whose namespaces cannot be made is refused.

use serde::{Deserialize, Serialize};

/// Where POSIX shared memory and semaphores have names (shm_overview(7)); a run has its own.
pub(crate) const SHARED_MEMORY: &str = "/dev/shm";

/// How namespaces are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespaces {
    /// With `CAP_SYS_ADMIN`, which the supervisor gives up before it starts the command.
    Privileged,
    /// In a user namespace that has one user and one group, the server's own.
    ByUser,
}

impl Namespaces {
    /// How this process would have them: what its own rights say, not what the kernel will say.
    #[must_use]
    pub fn for_this_process(privileged: bool) -> Self {
        if privileged { Self::Privileged } else { Self::ByUser }
    }

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::ByUser => "user",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Privileged, Self::ByUser].into_iter().find(|n| n.name() == name)
    }
}
