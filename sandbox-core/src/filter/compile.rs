//! From rules to one program.
//!
//! seccompiler compiles the conditions of each call. What is around them is made here: a search for
//! the call's number that leads straight to its conditions, several answers in one program, and the
//! answer "notify", which seccompiler does not have. One program with a search is what makes
//! filters cheap twice: the kernel translates every instruction before each command, and takes
//! every call whose registers matter through all of them.

use super::{Answer, FilterError, Rules};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};
use std::collections::{BTreeMap, BTreeSet};

/// Mark the ends of compiled conditions.
const MATCH: SeccompAction = SeccompAction::Trace(0x6e6f);
const NO_MATCH: SeccompAction = SeccompAction::Trace(0x6f6e);

const ARCH: TargetArch =
    if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

// Instruction codes of linux/bpf_common.h.
const BPF_LD_W_ABS: u16 = 0x20;
const BPF_JMP_JA: u16 = 0x05;
const BPF_JMP_JEQ_K: u16 = 0x15;
const BPF_JMP_JGE_K: u16 = 0x35;
const BPF_RET_K: u16 = 0x06;

/// Offsets in `struct seccomp_data`: the number of the system call, its architecture.
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
/// x32 calls carry this bit and the same audit architecture as native ones, so neither the
/// architecture check nor any rule by number sees them.
const X32_BIT: u32 = 0x4000_0000;

/// What is asked about one call, in order, and what is answered where it holds. No rules: always.
type Questions = Vec<(Answer, Vec<SeccompRule>)>;

/// A program that answers what the rules say and allows everything else. Calls of a foreign
/// architecture kill the process; x32 calls get `ENOSYS`, as on a kernel without x32.
pub(super) fn program(all: Vec<(Rules, Answer)>) -> Result<BpfProgram, FilterError> {
    let mut calls: BTreeMap<u32, Questions> = BTreeMap::new();
    for (rules, answer) in all {
        for (nr, rules) in rules {
            let nr = u32::try_from(nr).map_err(|_| FilterError::Shape)?;
            calls.entry(nr).or_default().push((answer, rules));
        }
    }
    let bodies = calls.into_iter().map(|(nr, asked)| Ok((nr, body(nr, asked)?)));
    let bodies = bodies.collect::<Result<Vec<_>, FilterError>>()?;
    Ok([head()?, search(&bodies)?].concat())
}

/// Checks the architecture and loads the number.
fn head() -> Result<BpfProgram, FilterError> {
    let mut head = compiled(BTreeMap::new())?;
    match head.as_slice() {
        [arch, compare, refuse, end]
            if arch == &load(OFFSET_ARCH)
                && (compare.code, compare.jt, compare.jf) == (BPF_JMP_JEQ_K, 1, 0)
                && refuse == &ret(libc::SECCOMP_RET_KILL_PROCESS)
                && end == &ret(NO_MATCH.into()) => {}
        _ => return Err(FilterError::Shape),
    }
    head.pop();
    head.push(load(OFFSET_NR));
    if cfg!(target_arch = "x86_64") {
        head.push(sock_filter { code: BPF_JMP_JGE_K, jt: 0, jf: 1, k: X32_BIT });
        head.push(ret(Answer::errno(libc::ENOSYS).0));
    }
    Ok(head)
}

/// What is done about one call.
enum Body {
    /// It gets this answer.
    Always(Answer),
    /// These instructions find its answer.
    Asked(BpfProgram),
}

/// The questions about one call, and their answers. The most restrictive one first, which is what
/// the kernel takes where several programs have one.
fn body(nr: u32, mut asked: Questions) -> Result<Body, FilterError> {
    asked.sort_by_key(|(answer, _)| answer.permissiveness());
    let mut body = Vec::new();
    for (answer, rules) in asked {
        if !rules.is_empty() {
            body.extend(conditions(nr, rules, answer)?);
            continue;
        }
        if body.is_empty() {
            return Ok(Body::Always(answer));
        }
        body.push(ret(answer.0));
        return Ok(Body::Asked(body));
    }
    body.push(ret(libc::SECCOMP_RET_ALLOW));
    Ok(Body::Asked(body))
}

/// Instructions that answer where one of the rules matches and go on behind their end where none
/// does.
fn conditions(nr: u32, rules: Vec<SeccompRule>, answer: Answer) -> Result<BpfProgram, FilterError> {
    let compiled = compiled(BTreeMap::from([(nr.into(), rules)]))?;
    let this = sock_filter { code: BPF_JMP_JEQ_K, jt: 0, jf: 1, k: nr };
    let no_match = ret(NO_MATCH.into());
    // Behind the head: is it this call; the rules; no rule matched; it is another call.
    let mut conditions = match compiled.get(4..) {
        Some([first, rules @ .., of_this, of_others])
            if first == &this && of_this == &no_match && of_others == &no_match =>
        {
            rules.to_vec()
        }
        _ => return Err(FilterError::Shape),
    };
    let ends = conditions.iter_mut().filter(|instruction| instruction.code == BPF_RET_K);
    for end in ends {
        if *end != ret(MATCH.into()) {
            return Err(FilterError::Shape);
        }
        *end = ret(answer.0);
    }
    Ok(conditions)
}

fn compiled(rules: Rules) -> Result<BpfProgram, FilterError> {
    Ok(SeccompFilter::new(rules, NO_MATCH, MATCH, ARCH)?.try_into()?)
}

/// A binary search for the loaded number, with what is to be done about each. Short: the kernel's
/// translation takes a fifth of a microsecond for each instruction.
fn search(bodies: &[(u32, Body)]) -> Result<BpfProgram, FilterError> {
    /// As many are compared one after the other.
    const LEAF: usize = 6;
    if bodies.len() <= LEAF {
        return leaf(bodies);
    }
    let (below, above) = bodies.split_at(bodies.len() / 2);
    let pivot = above.first().map_or(0, |(nr, _)| *nr);
    let (below, above) = (search(below)?, search(above)?);
    // A conditional jump reaches no further than 255.
    let choice = match u8::try_from(below.len()) {
        Ok(jt) => vec![sock_filter { code: BPF_JMP_JGE_K, jt, jf: 0, k: pivot }],
        Err(_) => {
            vec![sock_filter { code: BPF_JMP_JGE_K, jt: 0, jf: 1, k: pivot }, jump_over(&below)?]
        }
    };
    Ok([choice, below, above].concat())
}

/// Each number in turn, and the end for all others. Behind it the answers to those about which
/// nothing is asked, each once.
fn leaf(bodies: &[(u32, Body)]) -> Result<BpfProgram, FilterError> {
    let mut leaf = Vec::new();
    let mut always = Vec::new();
    for (nr, body) in bodies {
        match body {
            Body::Always(answer) => always.push((*nr, answer.0)),
            Body::Asked(body) => {
                leaf.push(sock_filter { code: BPF_JMP_JEQ_K, jt: 1, jf: 0, k: *nr });
                leaf.push(jump_over(body)?);
                leaf.extend_from_slice(body);
            }
        }
    }
    let answers: BTreeSet<u32> = always.iter().map(|(_, answer)| *answer).collect();
    for (at, (nr, answer)) in always.iter().enumerate() {
        // Over the other comparisons, the end and other answers.
        let over = always.len() - at + answers.range(..answer).count();
        let jt = u8::try_from(over).map_err(|_| FilterError::Shape)?;
        leaf.push(sock_filter { code: BPF_JMP_JEQ_K, jt, jf: 0, k: *nr });
    }
    leaf.push(ret(libc::SECCOMP_RET_ALLOW));
    leaf.extend(answers.into_iter().map(ret));
    Ok(leaf)
}

fn load(k: u32) -> sock_filter {
    sock_filter { code: BPF_LD_W_ABS, jt: 0, jf: 0, k }
}

fn ret(k: u32) -> sock_filter {
    sock_filter { code: BPF_RET_K, jt: 0, jf: 0, k }
}

fn jump_over(part: &[sock_filter]) -> Result<sock_filter, FilterError> {
    let k = u32::try_from(part.len()).map_err(|_| FilterError::Shape)?;
    Ok(sock_filter { code: BPF_JMP_JA, jt: 0, jf: 0, k })
}
