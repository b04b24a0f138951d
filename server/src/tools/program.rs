//! Finding the program of a call.

use super::BadInput;
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
            other if best.0 == Fitness::Missing => best = other,
            _ => {}
        }
    }
    let shown = best.1.map_or_else(|| program.to_owned(), |p| p.to_string());
    Err(match best.0 {
        Fitness::NotExecutable => BadInput::NotExecutable(shown),
        Fitness::NotGranted | Fitness::Fit => {
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
    let Some((named, real)) = resolve(candidate) else { return (Fitness::Missing, None) };
    if sandbox.policy.fs.lookup(&real, Access::EXECUTE) != Lookup::Allowed {
        return (Fitness::NotGranted, Some(named));
    }
    let executable = real.as_path().is_file() && access(real.as_path(), AccessFlags::X_OK).is_ok();
    (if executable { Fitness::Fit } else { Fitness::NotExecutable }, Some(named))
}

/// The file below its canonical folder, and the canonical file.
fn resolve(candidate: &Path) -> Option<(AbsPath, AbsPath)> {
    let real = AbsPath::new(candidate.canonicalize().ok()?).ok()?;
    let folder = candidate.parent()?.canonicalize().ok()?;
    let named = match candidate.file_name() {
        Some(name) => AbsPath::new(folder.join(name)).ok()?,
        None => real.clone(),
    };
    Some((named, real))
}
