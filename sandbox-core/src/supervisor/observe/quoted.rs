//! Reads that were not watched, found afterwards: from what the command's last words quote, and
//! the rules.
//!
//! Where most opens that only read are not watched, a program that was refused one can be the only
//! one to say so. Its words alone prove nothing. A path they quote becomes a record, marked as
//! inferred, only if the rules refuse to read it, it is there, and ordinary permissions would have
//! allowed it.

use super::{lookup, permitted};
use crate::AbsPath;
use crate::decide::{FileKind, Fit};
use crate::policy::{Access, Lookup, Observe, Policy};
use crate::record::{Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason};
use crate::supervisor::mediate::place::Place;
use crate::supervisor::mediate::resolve::resolve_quoted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use std::os::fd::OwnedFd;

/// Quoted paths that are looked at.
const MOST: usize = 64;
/// Shells whose reads the filter shows all: they open without `O_CLOEXEC`.
const SHELLS: [&[u8]; 4] = [b"sh", b"bash", b"dash", b"ash"];

/// Whether reads of this program can have gone unseen.
pub(in crate::supervisor) fn reads_unseen(program: &[u8]) -> bool {
    let name = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    !SHELLS.contains(&name)
}

/// Whether anything can be inferred of a run under this policy: where every read is watched, what
/// was not seen did not happen.
pub(in crate::supervisor) fn infers(policy: &Policy) -> bool {
    policy.observe == Observe::Writes
}

/// A run that is over, as far as inferring needs it.
#[derive(Debug, Clone, Copy)]
pub(in crate::supervisor) struct Ran<'r> {
    pub(in crate::supervisor) policy: &'r Policy,
    /// Where relative paths start.
    pub(in crate::supervisor) cwd: &'r AbsPath,
    /// What is known already.
    pub(in crate::supervisor) log: &'r DenialLog,
    /// Milliseconds from its start to its end.
    pub(in crate::supervisor) took_ms: u64,
}

/// The reads among `quoted` that the sandbox refuses, and nothing else would.
pub(in crate::supervisor) fn infer(ran: Ran<'_>, quoted: &[Vec<u8>]) -> Vec<Denial> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let Ok(cwd) = open(ran.cwd.as_path(), flags, Mode::empty()) else { return Vec::new() };
    let mut found: Vec<Denial> = Vec::new();
    for path in quoted.iter().take(MOST) {
        let Some(denial) = refused_read(ran, &cwd, path) else { continue };
        let same = |known: &Denial| known.resolved == denial.resolved;
        if !ran.log.items.iter().chain(&found).any(same) {
            found.push(denial);
        }
    }
    found
}

fn refused_read(ran: Ran<'_>, cwd: &OwnedFd, path: &[u8]) -> Option<Denial> {
    let Place { object, path: resolved } = resolve_quoted(cwd, path).ok()?;
    let answer = lookup(&ran.policy.fs, &resolved, Access::READ, false);
    let fits = || fstat(&object).is_ok_and(|stat| Fit::Open.admits(FileKind::of(&stat)));
    if answer == Lookup::Allowed || !fits() || !permitted(&object, Access::READ) {
        return None;
    }
    let (reason, rule) = Reason::of(answer)?;
    Some(Denial {
        kind: Kind::Fs,
        operation: Operation::Read,
        access: Access::READ,
        target: path.to_vec(),
        resolved: Some(resolved.as_bytes().to_vec()),
        host: None,
        syscall: "openat".to_owned(),
        errno: Errno::EACCES as i32,
        pid: 0,
        exe: Vec::new(),
        layer: Layer::Landlock,
        reason,
        rule: rule.cloned(),
        confidence: Confidence::Inferred,
        count: 1,
        first_ms: ran.took_ms,
        last_ms: ran.took_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_told_by_their_names() {
        assert!(!reads_unseen(b"/usr/bin/bash") && !reads_unseen(b"sh"));
        assert!(reads_unseen(b"/usr/bin/python3") && reads_unseen(b"/bin/bashful"));
    }
}
