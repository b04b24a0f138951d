//! The working directory of a call.

use super::BadInput;
use super::common::without_nul;
use crate::sandbox::Sandbox;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup, Policy};
use std::ffi::OsStr;
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
    let wanted = workspace.as_path().join(given);
    let not_granted = || BadInput::FolderNotGranted {
        cwd: given.to_owned(),
        profile: sandbox.policy.name.clone(),
        workspace: workspace.to_string(),
    };
    let (nearest, error) = nearest_existing(&wanted);
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

/// The canonical form of `path`, or of the nearest thing above it that exists, with the error that
/// `path` itself gave.
pub(super) fn nearest_existing(path: &Path) -> (PathBuf, Option<ErrorKind>) {
    let mut error = None;
    for candidate in path.ancestors() {
        match candidate.canonicalize() {
            Ok(canonical) => return (canonical, error),
            Err(e) => error = error.or(Some(e.kind())),
        }
    }
    (PathBuf::from("/"), error)
}
