//! From rules to instructions: seccompiler's compiler, plus the two things it cannot say.

use super::{FilterError, Rules};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

/// Marks "notify" while compiling: seccompiler has no user-notification action.
const MARKER: SeccompAction = SeccompAction::Trace(0x6e6f);

const ARCH: TargetArch =
    if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

// Instruction codes of linux/bpf_common.h.
const BPF_LD_W_ABS: u16 = 0x20;
const BPF_JMP_JGE_K: u16 = 0x35;
pub(super) const BPF_RET_K: u16 = 0x06;

/// Offset of the system call number in `struct seccomp_data`.
const OFFSET_NR: u32 = 0;
/// x32 calls carry this bit and the same audit architecture as native ones, so neither the
/// architecture check nor any rule by number sees them.
const X32_BIT: u32 = 0x4000_0000;

/// A program that answers `action` where a rule matches and allows everything else. Calls of a
/// foreign architecture kill the process; x32 calls get `ENOSYS`, as on a kernel without x32.
pub(super) fn program(rules: Rules, action: SeccompAction) -> Result<BpfProgram, FilterError> {
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH)?;
    let compiled: BpfProgram = filter.try_into()?;
    Ok(if cfg!(target_arch = "x86_64") { guard_x32(compiled) } else { compiled })
}

fn guard_x32(compiled: BpfProgram) -> BpfProgram {
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let guard = [
        sock_filter { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: OFFSET_NR },
        sock_filter { code: BPF_JMP_JGE_K, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: BPF_RET_K, jt: 0, jf: 0, k: enosys },
    ];
    [&guard[..], &compiled].concat()
}

/// A program that notifies the supervisor where a rule matches.
pub(super) fn notify_program(rules: Rules) -> Result<BpfProgram, FilterError> {
    let marker = u32::from(MARKER);
    let mut compiled = program(rules, MARKER)?;
    let mut rewritten = 0;
    for instruction in &mut compiled {
        if instruction.code == BPF_RET_K && instruction.k == marker {
            instruction.k = libc::SECCOMP_RET_USER_NOTIF;
            rewritten += 1;
        }
    }
    if rewritten == 0 { Err(FilterError::Shape) } else { Ok(compiled) }
}
