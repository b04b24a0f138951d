//! Namespaces of a run: the second layer, where the system allows it.
//!
//! A run in namespaces has process ids, System V and POSIX IPC objects, `/proc` and `/dev/shm` of
//! its own. Whether that can be had is found out once, by trying; from then on it is a part of every
//! plan, and a run whose namespaces cannot be made is refused.

use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};

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

/// How [`to_argument`] says that there are none.
const NONE: &str = "none";

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

/// As the first argument of a supervisor.
#[must_use]
pub fn to_argument(namespaces: Option<Namespaces>) -> OsString {
    namespaces.map_or(NONE, Namespaces::name).into()
}

/// What [`to_argument`] made; `None` for anything else.
#[must_use]
pub fn from_argument(argument: &OsStr) -> Option<Option<Namespaces>> {
    match argument.to_str()? {
        NONE => Some(None),
        name => Namespaces::named(name).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back() {
        for namespaces in [None, Some(Namespaces::Privileged), Some(Namespaces::ByUser)] {
            assert_eq!(from_argument(&to_argument(namespaces)), Some(namespaces));
        }
        assert_eq!(from_argument(OsStr::new("")), None);
        assert_eq!(from_argument(OsStr::new("123")), None);
    }
}
