//! The seccomp program of a run, as data. Pure: compiled here, installed by `sys`.
//!
//! Three kinds of rules, inherited by everything the command starts:
//! * *refusals* (`refuse`): what no coding tool needs and what would get around mediation;
//! * *creation gates* (`socket`): which sockets may exist at all. Family, type and protocol are
//!   registers, so these cannot race;
//! * *notifications* (`notify`): calls the supervisor performs or watches.
//!
//! What is refused and worth telling is a notification too: the supervisor answers with the errno,
//! told from registers, and records who asked for what. A supervisor that is gone leaves `ENOSYS`,
//! so it stays refused.
//!
//! Where several rules match, the most restrictive answer counts, as the kernel has it for several
//! programs: a refusal beats a notification.

mod compile;
mod notify;
mod refuse;
mod refused;
mod socket;
mod trapped;

#[cfg(any(test, feature = "interpret"))]
pub mod interpret;
#[cfg(test)]
mod tests;

pub use refused::{Needs, Refused, describe, is_about_descriptors, is_by_number, refusal_errno};
pub(crate) use socket::is_udp;
pub use socket::{Sharing, is_internet, is_unix};
pub use trapped::{AttributeCall, Mediated, Observed, SendCall, SignalCall, Trapped, trapped};

use crate::IpcScope;
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

/// What the kernel does with a call, as it writes it (`SECCOMP_RET_*` with its data).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer(u32);

impl Answer {
    const NOTIFY: Self = Self(libc::SECCOMP_RET_USER_NOTIF);

    /// The call fails with `errno`, or pretends to succeed: 0.
    fn errno(errno: libc::c_int) -> Self {
        Self(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
    }

    /// Lowest for what counts first. The kernel compares signed numbers.
    fn permissiveness(self) -> i32 {
        (self.0 & libc::SECCOMP_RET_ACTION_FULL).cast_signed()
    }
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

/// Compiles the program of a policy; it has notifications, whatever the policy is. Where
/// the kernel does not keep signals and abstract sockets inside, they are mediated and what would get
/// around that is refused.
///
/// # Errors
/// [`FilterError`], never for a policy that resolution has accepted.
pub fn compile(
    policy: &Policy,
    handover: Handover,
    ipc: IpcScope,
) -> Result<BpfProgram, FilterError> {
    let told = refuse::told(ipc)?.into_iter().chain(socket::told(policy)?);
    let notified = std::iter::once(notify::rules(policy, handover, ipc)?).chain(told);
    let mut all: Vec<_> = notified.map(|rules| (rules, Answer::NOTIFY)).collect();
    all.extend(refuse::silent()?);
    all.extend(socket::silent(policy, ipc)?);
    compile::program(all)
}
