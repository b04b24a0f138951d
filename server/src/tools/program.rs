//! Finding the program of a call.

use super::bad_input::BadInput;
use super::place::follow;
use super::rights;
use crate::sandbox::Sandbox;
use nix::unistd::{AccessFlags, access};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a file is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fitness {
    Missing,
    /// Whether there is anything is not said.
    Hidden,
    /// The same, by the permissions of a folder on the way.
    Closed,
    NotExecutable,
    NotGranted,
    Fit,
}

/// Finds `program` as `execvp` would: with a slash, relative to `cwd`; without, in `path`, passing
/// over what the profile does not let commands execute.
///
/// # Errors
/// [`BadInput`] says where was looked.
pub(super) fn find(
    sandbox: &Sandbox,
    program: &str,
    path: &[u8],
    cwd: &AbsPath,
) -> Result<AbsPath, BadInput> {
    rights::look(sandbox.workspace(), || find_as_seen(sandbox, program, path, cwd))
}

/// The same with the rights that the caller has.
///
/// # Errors
/// [`BadInput`] says where was looked.
pub(super) fn find_as_seen(
    sandbox: &Sandbox,
    program: &str,
    path: &[u8],
    cwd: &AbsPath,
) -> Result<AbsPath, BadInput> {
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![cwd.as_path().join(program)]
    } else {
        path.split(|b| *b == b':')
            .map(|folder| cwd.as_path().join(OsStr::from_bytes(folder)).join(program))
            .collect()
    };
    let mut best = (Fitness::Missing, None);
    for candidate in &candidates {
        match fitness(sandbox, candidate) {
            (Fitness::Fit, Some(found)) => return Ok(found),
            (Fitness::Missing, _) => {}
            // A search passes over what commands do not see.
            (Fitness::Hidden | Fitness::Closed, _) if !program.contains('/') => {}
            other if best.0 == Fitness::Missing => best = other,
            _ => {}
        }
    }
    let shown = best.1.map_or_else(|| program.to_owned(), |p| p.to_string());
    Err(match best.0 {
        Fitness::NotExecutable => BadInput::NotExecutable(shown),
        Fitness::Closed => BadInput::ProgramClosed(shown),
        Fitness::Hidden | Fitness::NotGranted | Fitness::Fit => {
            BadInput::ProgramNotGranted { profile: sandbox.policy.name.clone(), program: shown }
        }
        Fitness::Missing if program.contains('/') => BadInput::NoSuchProgram(shown),
        Fitness::Missing => {
            BadInput::NotOnPath { program: shown, path: String::from_utf8_lossy(path).into_owned() }
        }
    })
}

/// Judges a file. The path that comes back keeps its last component: many programs look at the
/// name they were started by.
fn fitness(sandbox: &Sandbox, candidate: &Path) -> (Fitness, Option<AbsPath>) {
    let fs = &sandbox.policy.fs;
    let way = follow(fs, candidate);
    let Ok(real) = AbsPath::new(way.end) else { return (Fitness::Missing, None) };
    if way.hidden {
        return (Fitness::Hidden, Some(real));
    }
    if let Some(error) = way.error {
        let fitness = if rights::is_closed(error) { Fitness::Closed } else { Fitness::Missing };
        return (fitness, None);
    }
    // Its folder is on the way, and so is as it is seen.
    let folder = candidate.parent().map(|folder| follow(fs, folder).end);
    let named = match (folder, candidate.file_name()) {
        (Some(folder), Some(name)) => AbsPath::new(folder.join(name)).ok(),
        _ => Some(real.clone()),
    };
    if fs.lookup(&real, Access::EXECUTE) != Lookup::Allowed {
        return (Fitness::NotGranted, named);
    }
    let executable = real.as_path().is_file() && access(real.as_path(), AccessFlags::X_OK).is_ok();
    (if executable { Fitness::Fit } else { Fitness::NotExecutable }, named)
}
