//! Seccomp programs, as data. Pure: compiled here, installed by `sys`.
//!
//! Three kinds, all inherited by everything the command starts:
//! * *refusals* (`refuse`): what no coding tool needs and what would get around mediation;
//! * *creation gates* (`socket`): which sockets may exist at all. Family, type and protocol are
//!   registers, so these cannot race;
//! * *notifications* (`notify`): calls the supervisor performs or watches.
//!
//! Where there is a listener, refusals and gates become notifications too: the supervisor answers
//! with the same errno, told from registers, and records who asked for what. A supervisor that is
//! gone leaves `ENOSYS`, so they stay refused.
//!
//! Where several programs match, the kernel takes the most restrictive answer, so a refusal beats
//! a notification whatever the order of installation.

mod compile;
mod notify;
mod refuse;
mod refused;
mod socket;

#[cfg(any(test, feature = "interpret"))]
pub mod interpret;
#[cfg(test)]
mod tests;

pub use notify::{AttributeCall, Mediated, Observed, Trapped, trapped};
pub use refused::{Needs, Refused, describe, refusal_errno};
pub use socket::is_internet;

use crate::policy::Policy;
use seccompiler::BpfProgram;
use std::collections::BTreeMap;

/// Rules of one program: system call number to alternatives. No alternatives: any arguments.
pub(crate) type Rules = BTreeMap<i64, Vec<seccompiler::SeccompRule>>;

/// The two register halves that let exactly one `sendmsg` pass: the hand-over of the listener.
///
/// The descriptor number alone would be no capability: `dup2` onto the number would bring the
/// exemption back after exec. The random halves are gone with exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// Number of the bootstrap descriptor in the child.
    pub fd: i32,
    /// 64 random bits: the upper half travels with the descriptor, the lower with the flags.
    pub secret: u64,
}

/// Everything a child installs, in order.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Refusals and gates.
    pub fixed: Vec<BpfProgram>,
    /// Notifications; `None` where nothing is mediated or watched, so no listener is needed.
    pub notify: Option<BpfProgram>,
}

/// Why a program could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A rule does not compile.
    #[error("compile seccomp rules")]
    Compile(#[from] seccompiler::BackendError),
    /// The instruction sequence is not the one this code knows how to extend.
    #[error("unexpected shape of a compiled seccomp program")]
    Shape,
}

/// Compiles all programs of a policy. `scoped`: the kernel keeps signals inside (Landlock ABI 6);
/// where it does not, they are mediated and what would get around that is refused.
///
/// # Errors
/// [`FilterError`], never for a policy that resolution has accepted.
pub fn compile(policy: &Policy, handover: Handover, scoped: bool) -> Result<Programs, FilterError> {
    let mut notified = notify::rules(policy, handover, scoped)?;
    let told = refuse::told(scoped)?.into_iter().chain(socket::programs(policy)?);
    let mut fixed = refuse::silent()?;
    fixed.extend(socket::silent(policy)?);
    if notified.is_empty() {
        fixed.extend(told);
    } else {
        // No call is in both: what is mediated or watched is refused to nobody.
        for (nr, rules) in told.flat_map(|(rules, _)| rules) {
            notified.entry(nr).or_default().extend(rules);
        }
    }
    let fixed = fixed
        .into_iter()
        .map(|(rules, action)| compile::program(rules, action))
        .collect::<Result<_, _>>()?;
    let notify = if notified.is_empty() { None } else { Some(compile::notify_program(notified)?) };
    Ok(Programs { fixed, notify })
}
