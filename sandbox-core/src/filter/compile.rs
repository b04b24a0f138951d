//! From rules to instructions: seccompiler's compiler, plus the two things it cannot say, and a
//! shorter way for calls that no rule is about.

use super::{FilterError, Rules};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

/// Marks "notify" while compiling: seccompiler has no user-notification action.
const MARKER: SeccompAction = SeccompAction::Trace(0x6e6f);

const ARCH: TargetArch =
    if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

// Instruction codes of linux/bpf_common.h.
const BPF_LD_W_ABS: u16 = 0x20;
const BPF_JMP_JA: u16 = 0x05;
const BPF_JMP_JEQ_K: u16 = 0x15;
const BPF_JMP_JGE_K: u16 = 0x35;
pub(super) const BPF_RET_K: u16 = 0x06;

/// Offsets in `struct seccomp_data`: the number of the system call, its architecture.
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
/// x32 calls carry this bit and the same audit architecture as native ones, so neither the
/// architecture check nor any rule by number sees them.
const X32_BIT: u32 = 0x4000_0000;

/// A program that answers `action` where a rule matches and allows everything else. Calls of a
/// foreign architecture kill the process; x32 calls get `ENOSYS`, as on a kernel without x32.
pub(super) fn program(rules: Rules, action: SeccompAction) -> Result<BpfProgram, FilterError> {
    let numbers = rules.keys().map(|nr| u32::try_from(*nr)).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|_| FilterError::Shape)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH)?;
    let compiled = pass_others(filter.try_into()?, &numbers)?;
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

/// Lets calls without a rule pass before the chain of rules, which takes every number in turn. When
/// a filter is installed the kernel tries each number there is, so the chain would be walked many
/// hundred times before each command. `numbers`: those with a rule, in order.
fn pass_others(compiled: BpfProgram, numbers: &[u32]) -> Result<BpfProgram, FilterError> {
    // The architecture is checked first, then the number is loaded; the search goes in between.
    let load = |k| sock_filter { code: BPF_LD_W_ABS, jt: 0, jf: 0, k };
    match compiled.split_at_checked(4) {
        Some((start @ [arch, compare, refuse, nr], rest))
            if (arch, nr) == (&load(OFFSET_ARCH), &load(OFFSET_NR))
                && (compare.code, compare.jt, compare.jf) == (BPF_JMP_JEQ_K, 1, 0)
                && refuse.code == BPF_RET_K =>
        {
            Ok([start, &search(numbers), rest].concat())
        }
        _ => Err(FilterError::Shape),
    }
}

/// Instructions that go on behind their end where the loaded number is one of `numbers`, and allow
/// the call where it is not: a binary search.
fn search(numbers: &[u32]) -> BpfProgram {
    /// A jump behind the end, as long as it is not known how far that is.
    const FOUND: u32 = u32::MAX;
    /// As many are compared one after the other.
    const LEAF: usize = 4;
    fn part(numbers: &[u32]) -> BpfProgram {
        let jump = |k| sock_filter { code: BPF_JMP_JA, jt: 0, jf: 0, k };
        let (Some(pivot), true) = (numbers.get(numbers.len() / 2), numbers.len() > LEAF) else {
            let equal = |(at, k): (usize, &u32)| {
                let jt = u8::try_from(numbers.len() - at).unwrap_or(u8::MAX);
                sock_filter { code: BPF_JMP_JEQ_K, jt, jf: 0, k: *k }
            };
            let allow = libc::SECCOMP_RET_ALLOW;
            let others = sock_filter { code: BPF_RET_K, jt: 0, jf: 0, k: allow };
            return numbers.iter().enumerate().map(equal).chain([others, jump(FOUND)]).collect();
        };
        let (below, above) = numbers.split_at(numbers.len() / 2);
        let (below, above) = (part(below), part(above));
        let skip = jump(u32::try_from(below.len()).unwrap_or(FOUND));
        let at_least = sock_filter { code: BPF_JMP_JGE_K, jt: 0, jf: 1, k: *pivot };
        [&[at_least, skip][..], &below, &above].concat()
    }
    let mut all = part(numbers);
    let length = all.len();
    for (at, instruction) in all.iter_mut().enumerate() {
        if (instruction.code, instruction.k) == (BPF_JMP_JA, FOUND) {
            instruction.k = u32::try_from(length - at - 1).unwrap_or(FOUND);
        }
    }
    all
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
