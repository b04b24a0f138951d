//! The working directory of a call.

use super::bad_input::{BadInput, without_nul};
use super::rights;
use crate::sandbox::Sandbox;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsPolicy, Lookup, Policy};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Finds the folder and makes sure commands may be in it. Says nothing about folders that the
/// profile does not let commands read, not even whether they exist.
///
/// # Errors
/// [`BadInput`] names the folder and one to use instead.
pub(super) fn working_directory(sandbox: &Sandbox, cwd: Option<&str>) -> Result<AbsPath, BadInput> {
    let workspace = sandbox.workspace();
    let Some(given) = cwd.filter(|c| !c.is_empty()) else { return Ok(workspace.clone()) };
    without_nul(|| "`cwd`".to_owned(), given)?;
    rights::look(workspace, || folder(sandbox, given))
}

/// The folder, as far as who asks sees it.
fn folder(sandbox: &Sandbox, given: &str) -> Result<AbsPath, BadInput> {
    let workspace = sandbox.workspace();
    let wanted = workspace.as_path().join(given);
    let not_granted = || BadInput::FolderNotGranted {
        cwd: given.to_owned(),
        profile: sandbox.policy.name.clone(),
        workspace: workspace.to_string(),
    };
    let Way { nearest, error, .. } = follow(&sandbox.policy.fs, &wanted);
    let nearest = AbsPath::new(nearest).map_err(|_| not_granted())?;
    if sandbox.policy.fs.lookup(&nearest, Access::READ) != Lookup::Allowed {
        return Err(not_granted());
    }
    let is_folder = nearest.as_path().is_dir();
    match error {
        None if is_folder => Ok(nearest),
        None => Err(BadInput::NotAFolder {
            cwd: given.to_owned(),
            parent: nearest.parent().unwrap_or_else(AbsPath::root).to_string(),
        }),
        Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let folder = if is_folder { Some(nearest) } else { nearest.parent() };
            Err(BadInput::NoSuchFolder {
                cwd: given.to_owned(),
                nearest: folder.unwrap_or_else(AbsPath::root).to_string(),
            })
        }
        Some(kind) => Err(BadInput::FolderUnusable {
            cwd: given.to_owned(),
            why: kind.to_string(),
            workspace: workspace.to_string(),
        }),
    }
}

/// Where a path a call names lies: relative to the first workspace folder, `~` is the command's
/// home.
pub(super) fn absolute(policy: &Policy, path: &str) -> PathBuf {
    let home = policy.environment.variables.get("HOME");
    let workspace = policy.fs.workspaces.first().unwrap_or(&policy.fs.tmpdir);
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Path::new(OsStr::from_bytes(home)).join(rest),
        _ => workspace.as_path().join(path),
    }
}

/// Links that are followed on the way to one place, as the kernel does.
const MAX_LINKS: usize = 40;

/// Where a path leads, as far as commands can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Its end. What is missing, and what is hidden, as it is named.
    pub(super) end: PathBuf,
    /// The nearest thing on it that exists, canonical; where it is hidden, what is hidden.
    pub(super) nearest: PathBuf,
    /// Why it does not get to its end.
    pub(super) error: Option<ErrorKind>,
    /// Whether it leads to what the profile hides. Nothing is looked at from there on, so that
    /// what is there and what is not are answered in the same way.
    pub(super) hidden: bool,
}

/// Follows an absolute path. No link is followed, and nothing looked for, where commands see none.
pub(super) fn follow(fs: &FsPolicy, path: &Path) -> Way {
    let mut at = PathBuf::from("/");
    let mut ahead: Vec<OsString> = Vec::new();
    let push = |ahead: &mut Vec<OsString>, path: &Path| {
        ahead.extend(path.components().rev().map(|part| part.as_os_str().to_owned()));
    };
    push(&mut ahead, path);
    let mut links = 0;
    let stop = |at: PathBuf, end: PathBuf, mut ahead: Vec<OsString>, error, hidden| {
        let mut end = end;
        while let Some(part) = ahead.pop() {
            match part.as_bytes() {
                b".." => drop(end.pop()),
                b"." => {}
                _ => end.push(part),
            }
        }
        let nearest = if hidden { end.clone() } else { at };
        Way { end, nearest, error: Some(error), hidden }
    };
    while let Some(part) = ahead.pop() {
        match part.as_bytes() {
            b"/" => at = PathBuf::from("/"),
            b"." => {}
            b".." => drop(at.pop()),
            _ => {
                let next = at.join(&part);
                if AbsPath::new(&next).is_ok_and(|next| fs.hides(&next)) {
                    return stop(at, next, ahead, ErrorKind::PermissionDenied, true);
                }
                let metadata = match next.symlink_metadata() {
                    Ok(metadata) => metadata,
                    Err(error) => return stop(at, next, ahead, error.kind(), false),
                };
                if metadata.is_symlink() {
                    links += 1;
                    match next.read_link() {
                        Ok(target) if links <= MAX_LINKS => push(&mut ahead, &target),
                        Ok(_) => return stop(at, next, ahead, ErrorKind::Other, false),
                        Err(error) => return stop(at, next, ahead, error.kind(), false),
                    }
                    continue;
                }
                at = next;
                if !metadata.is_dir() && !ahead.is_empty() {
                    let end = at.clone();
                    return stop(at, end, ahead, ErrorKind::NotADirectory, false);
                }
            }
        }
    }
    Way { end: at.clone(), nearest: at, error: None, hidden: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::{Denied, Hiding};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_way_is_that_of_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/file"), "").unwrap();
        for (target, link) in [("a", "l"), ("../a/b", "a/up"), ("loop", "loop"), ("gone/x", "dead")]
        {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("a/file"), root.join("abs")).unwrap();
        let fs = FsPolicy::of_rules(Vec::new());
        for path in ["a", "l/b", "l/up", "l/up/..", "abs", "a/./b/../file", "l/file", ""] {
            let way = follow(&fs, &root.join(path));
            assert_eq!(way.end, root.join(path).canonicalize().unwrap(), "{path}");
            assert_eq!((way.error, &way.nearest), (None, &way.end));
        }
        let missing = |path: &str| {
            let way = follow(&fs, &root.join(path));
            assert!(root.join(path).canonicalize().is_err() && !way.hidden, "{path}");
            (way.nearest, way.end)
        };
        assert_eq!(missing("l/x/y"), (root.join("a"), root.join("a/x/y")));
        assert_eq!(missing("dead"), (root.clone(), root.join("gone/x")));
        assert_eq!(missing("abs/x"), (root.join("a/file"), root.join("a/file/x")));
        assert_eq!(missing("loop").0, root);
    }

    #[test]
    fn what_is_hidden_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let closed = root.join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("there"), "").unwrap();
        symlink("/usr/bin/env", closed.join("link")).unwrap();
        for name in ["there", "link", "missing"] {
            symlink(closed.join(name), root.join(format!("to-{name}"))).unwrap();
        }
        let fs = FsPolicy {
            hiding: Hiding::On,
            denied: vec![Denied { path: AbsPath::new(&closed).unwrap(), source: None }],
            ..FsPolicy::of_rules(Vec::new())
        };
        for name in ["there", "link", "missing", "there/below"] {
            let seen = follow(&fs, &closed.join(name));
            assert!(seen.hidden && seen.error == Some(ErrorKind::PermissionDenied), "{name}");
            assert_eq!((&seen.end, &seen.nearest), (&closed.join(name), &closed.join(name)));
        }
        for name in ["there", "link", "missing"] {
            let seen = follow(&fs, &root.join(format!("to-{name}")));
            assert_eq!((seen.hidden, seen.end), (true, closed.join(name)), "{name}");
        }
    }
}
