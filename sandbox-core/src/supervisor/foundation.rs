//! What a sandbox is made of, as far as it rests on the policy alone: opened rules, rule sets, the
//! filter.

use super::SetupFailed;
use super::bootstrap::Gate;
use super::confine::{Kernel, Rulesets};
use crate::plan::Basis;

/// Rule sets and filter of one policy.
#[derive(Debug)]
pub(super) struct Foundation {
    pub(super) kernel: Kernel,
    pub(super) rulesets: Rulesets,
    pub(super) gate: Gate,
}

impl Foundation {
    /// Makes everything that rests on the policy alone.
    pub(super) fn lay(basis: &Basis) -> Result<Self, SetupFailed> {
        let kernel = Kernel::probe(basis.landlock_abi_limit)?;
        let rulesets = Rulesets::new(&basis.policy, kernel)?;
        let gate = Gate::new(&basis.policy, kernel.ipc)?;
        Ok(Self { kernel, rulesets, gate })
    }
}
