//! What a read-only profile takes from its own grants.

use super::{FsRule, Policy, Source, UnixGrant};
use serde::{Deserialize, Serialize};

/// The rights that grants would give if the profile were not read-only. They decide nothing; who
/// explains a refusal asks whether they would have allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOnly {
    /// Where it is written.
    pub source: Source,
    /// Rights to change files, and to make sockets in folders.
    pub rules: Vec<FsRule>,
    /// Rights to bind sockets.
    pub sockets: Vec<UnixGrant>,
}

impl Policy {
    /// This policy with what being read-only took from it; `None` if it is not read-only.
    #[must_use]
    pub fn writable_again(&self) -> Option<Self> {
        let taken = self.fs.read_only.as_ref()?;
        let mut again = self.clone();
        again.fs.rules.extend(taken.rules.iter().cloned());
        again.unix.grants.extend(taken.sockets.iter().cloned());
        again.fs.read_only = None;
        Some(again)
    }
}
