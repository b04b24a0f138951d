//! What a supervisor builds of a sandbox before there is a request for it.
//!
//! Opening the rules of a policy, making rule sets of them and compiling the filter is most of what
//! a run costs before its command starts, and none of it depends on the command. A spare supervisor
//! does it while nobody waits. What it has made is used only if the paths of the rules still mean the
//! same objects; else it is made again.

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
        let gate = Gate::new(&basis.policy, kernel.scoped)?;
        Ok(Self { kernel, rulesets, gate })
    }

    /// The one that was laid ahead, if the machine is still as it was then, or a new one.
    pub(super) fn current(ahead: Option<Self>, basis: &Basis) -> Result<Self, SetupFailed> {
        match ahead {
            Some(ahead) if ahead.rulesets.are_current() => Ok(ahead),
            _ => Self::lay(basis),
        }
    }
}
