//! What the kernel's audit log says was refused, held against the rules of the run.
//!
//! Nothing was watched, so nothing was slowed down. That the object of an open is there and that
//! ordinary permissions allow it has been shown by the kernel, which asks Landlock last. Before a
//! name is made, removed or moved it asks Landlock first, so there the permissions are asked here.

use super::lookup;
use crate::AbsPath;
use crate::policy::{FsPolicy, Observe, Policy};
use crate::record::{
    Confidence, Denial, DenialLog, KernelRefusal, Kind, Layer, Operation, Reason, Recorder,
};
use crate::supervisor::canonical;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{AccessFlags, faccessat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Whether the supervisor of such a run is asked in the end.
pub(in crate::supervisor) fn confirms(policy: &Policy) -> bool {
    policy.observe == Observe::Audit
}

/// Those that the rules refuse, and nothing else would.
pub(in crate::supervisor) fn confirm(fs: &FsPolicy, refusals: Vec<KernelRefusal>) -> DenialLog {
    let mut recorder = Recorder::default();
    for refusal in refusals {
        if let Some(denial) = denial(fs, refusal) {
            recorder.add(denial);
        }
    }
    recorder.into_log()
}

fn denial(fs: &FsPolicy, refusal: KernelRefusal) -> Option<Denial> {
    let KernelRefusal { operation, access, path, in_folder, syscall, errno, pid, exe, at_ms } =
        refusal;
    let resolved = AbsPath::new(OsStr::from_bytes(&path)).ok()?;
    if in_folder && !may_change(&resolved) {
        return None;
    }
    let (reason, rule) = match Reason::of(lookup(fs, &resolved, access, false)) {
        Some((reason, rule)) => (reason, rule.cloned()),
        // The folder is open, so it is about where the file would go.
        None if errno == Errno::EXDEV as i32 => (Reason::MoreRights, None),
        // Another sandbox said no: one that the command has made itself.
        None => return None,
    };
    // The kernel does not tell which name; a grant of the folder is what it takes.
    let name =
        if in_folder { [path.strip_suffix(b"/").unwrap_or(&path), b"/?"].concat() } else { path };
    Some(Denial {
        kind: if operation == Operation::Execute { Kind::Exec } else { Kind::Fs },
        operation,
        access,
        target: name.clone(),
        resolved: Some(name),
        host: None,
        syscall,
        errno,
        pid,
        exe,
        layer: Layer::Landlock,
        reason,
        rule,
        confidence: Confidence::Audit,
        count: 1,
        first_ms: at_ms,
        last_ms: at_ms,
    })
}

/// Whether ordinary permissions allow changing the names in a folder.
fn may_change(folder: &AbsPath) -> bool {
    let mode = AccessFlags::W_OK | AccessFlags::X_OK;
    canonical::open(folder, OFlag::O_DIRECTORY)
        .is_ok_and(|folder| faccessat(&folder, ".", mode, AtFlags::empty()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Access, Denied, FsRule, Scope, Source};

    fn refusal(path: &str, operation: Operation, access: Access, errno: Errno) -> KernelRefusal {
        let in_folder = matches!(operation, Operation::Create | Operation::Rename);
        KernelRefusal {
            operation,
            access,
            path: path.into(),
            in_folder,
            syscall: "openat".into(),
            errno: errno as i32,
            pid: 7,
            exe: b"/bin/x".to_vec(),
            at_ms: 3,
        }
    }

    #[test]
    fn the_rules_have_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::canonicalize(folder.path()).unwrap();
        let open = open.to_str().unwrap();
        let source = Source { profile: "p".into(), rule: "filesystem.read".into(), line: Some(1) };
        let rule = |path: &str, access| FsRule {
            path: AbsPath::new(path).unwrap(),
            scope: Scope::Tree,
            access,
            source: source.clone(),
        };
        let fs = FsPolicy {
            denied: vec![Denied { path: AbsPath::new("/etc").unwrap(), source: None }],
            ..FsPolicy::of_rules(vec![
                rule("/usr", Access::READ),
                rule(open, Access::READ | Access::WRITE),
            ])
        };
        let log = confirm(
            &fs,
            vec![
                refusal("/etc/shadow", Operation::Read, Access::READ, Errno::EACCES),
                refusal("/etc/shadow", Operation::Read, Access::READ, Errno::EACCES),
                refusal("/usr/x", Operation::Write, Access::WRITE, Errno::EACCES),
                // Allowed by these rules: another sandbox refused it.
                refusal("/usr/x", Operation::Read, Access::READ, Errno::EACCES),
                refusal(open, Operation::Create, Access::WRITE, Errno::EACCES),
                refusal(open, Operation::Rename, Access::WRITE, Errno::EXDEV),
                // Nobody makes anything in a folder that is not there.
                refusal("/no/such/folder", Operation::Create, Access::WRITE, Errno::EACCES),
            ],
        );
        let told: Vec<_> =
            log.items.iter().map(|d| (d.target.as_slice(), d.reason, d.count)).collect();
        assert_eq!(
            told,
            [
                (&b"/etc/shadow"[..], Reason::Denied, 2),
                (b"/usr/x", Reason::InsufficientAccess, 1),
                (format!("{open}/?").as_bytes(), Reason::MoreRights, 1),
            ]
        );
        assert_eq!(log.total, 4);
        assert!(log.items.iter().all(|d| d.confidence == Confidence::Audit));
    }
}
