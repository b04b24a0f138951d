//! What stays as it is in trees that may be written, kept so by the kernel where there is a mount
//! namespace, and looked at afterwards everywhere.
//!
//! The rule itself is asked for each call (`observe`). That is no barrier for a program that
//! changes a call's arguments while it is judged. Behind it stand, for what exists when a run
//! starts, mounts that cannot be written; and a comparison of before and after, which tells what
//! changed all the same.

use super::pin;
use crate::AbsPath;
use crate::policy::{FsPolicy, Kept};
use crate::supervisor::{SetupFailed, Stage};
use crate::sys;
use nix::errno::Errno;
use std::fs::{self, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Names of a folder that are compared one by one; of more, only the folder itself is.
const MOST_NAMES: usize = 256;

/// Seals what exists. Folders on the way become mounts too, so that they cannot be moved away: a
/// folder that something is mounted *below* can be.
///
/// Only in a mount namespace of the run's own, before anything of the policy's paths is handed to
/// the command. `before`: what there is.
pub(in crate::supervisor) fn seal(policy: &FsPolicy, before: &Before) -> Result<(), SetupFailed> {
    let mut paths: Vec<&AbsPath> = before.existing().collect();
    let mut folders: Vec<AbsPath> =
        paths.iter().flat_map(|path| on_the_way(policy, path)).collect();
    // The outermost first, and none twice: paths of the same length are ordered among themselves.
    folders.sort_unstable_by(|a, b| {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    });
    folders.dedup();
    for folder in &folders {
        remount(folder, Writing::Stays)?;
    }
    // A mount below another sealed one would be hidden by it, or the same thing twice.
    let mut sealed: Vec<&AbsPath> = Vec::new();
    paths.sort_unstable_by_key(|path| path.as_bytes().len());
    for path in paths {
        if !sealed.iter().any(|outer| path.is_within(outer)) && remount(path, Writing::Ends)? {
            sealed.push(path);
        }
    }
    Ok(())
}

/// Folders between something kept and the tree that may be written: those whose names can be
/// changed.
fn on_the_way<'p>(policy: &'p FsPolicy, kept: &'p AbsPath) -> impl Iterator<Item = AbsPath> + 'p {
    let above = std::iter::successors(kept.parent(), AbsPath::parent);
    above.take_while(|folder| {
        let holder = folder.parent().unwrap_or_else(AbsPath::root);
        policy.rights(&holder).contains(crate::policy::Access::WRITE)
    })
}

/// Whether a mount can be written through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Stays,
    Ends,
}

/// Mounts what is at `path` over itself. `false`: there is nothing, or a symbolic link, which
/// cannot be mounted over.
fn remount(path: &AbsPath, writing: Writing) -> Result<bool, SetupFailed> {
    let failed = |errno: Errno| {
        SetupFailed::new(Stage::Namespaces, errno as i32, format!("seal {path} against writing"))
    };
    let Some(object) = pin(path).map_err(failed)? else { return Ok(false) };
    let mount = sys::second_mount(object.as_fd()).map_err(failed)?;
    if writing == Writing::Ends {
        sys::make_read_only(mount.as_fd()).map_err(failed)?;
    }
    sys::attach(mount.as_fd(), object.as_fd()).map_err(failed)?;
    Ok(true)
}

/// What was there before a run, to be compared with what is there after it.
#[derive(Debug)]
pub(in crate::supervisor) struct Before(Vec<(AbsPath, State)>);

impl Before {
    /// Looks at everything that stays as it is.
    pub(in crate::supervisor) fn of(policy: &FsPolicy) -> Self {
        let look = |kept: &Kept| (kept.path.clone(), State::of(kept.path.as_path()));
        Self(policy.kept.iter().map(look).collect())
    }

    /// What there is of it.
    fn existing(&self) -> impl Iterator<Item = &AbsPath> {
        self.0.iter().filter(|(_, state)| state.own.is_some()).map(|(path, _)| path)
    }

    /// Whether the same objects are there, whatever is in them.
    pub(in crate::supervisor) fn same_objects(&self, other: &Self) -> bool {
        let object = |state: &State| state.own.as_ref().map(|stamp| stamp.object);
        let pairs = || self.0.iter().zip(&other.0);
        self.0.len() == other.0.len()
            && pairs().all(|((path, a), (other, b))| path == other && object(a) == object(b))
    }

    /// What is not as it was: changed by the run, or by somebody else meanwhile.
    pub(in crate::supervisor) fn changed(&self) -> Vec<AbsPath> {
        let differs = |(path, before): &&(AbsPath, State)| State::of(path.as_path()) != *before;
        self.0.iter().filter(differs).map(|(path, _)| path.clone()).collect()
    }
}

/// An object, and if it is a folder, what is in it, one level deep.
#[derive(Debug, PartialEq, Eq)]
struct State {
    own: Option<Stamp>,
    names: Vec<(std::ffi::OsString, Option<Stamp>)>,
}

/// Identity and last change. No program can set the time of the last change of an inode.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    object: (u64, u64),
    mode: u32,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            object: (metadata.dev(), metadata.ino()),
            mode: metadata.mode(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl State {
    fn of(path: &Path) -> Self {
        let metadata = fs::symlink_metadata(path).ok();
        let folder = metadata.as_ref().is_some_and(Metadata::is_dir);
        let listed = folder.then(|| fs::read_dir(path).ok()).flatten();
        let mut names: Vec<_> = listed
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .take(MOST_NAMES)
            .map(|entry| (entry.file_name(), entry.metadata().ok().as_ref().map(Stamp::of)))
            .collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self { own: metadata.as_ref().map(Stamp::of), names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Source;

    fn policy(paths: &[&Path]) -> FsPolicy {
        let source = || Source { profile: "t".into(), rule: "r".into(), line: None };
        let kept = |path: &&Path| Kept { path: AbsPath::new(*path).unwrap(), source: source() };
        FsPolicy { kept: paths.iter().map(kept).collect(), ..FsPolicy::of_rules(vec![]) }
    }

    #[test]
    fn what_is_changed_made_or_replaced_is_told() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("hooks")).unwrap();
        fs::write(at("hooks/sample"), "x").unwrap();
        fs::write(at("config"), "x").unwrap();
        let (hooks, config, envrc) = (at("hooks"), at("config"), at(".envrc"));
        let before = Before::of(&policy(&[&hooks, &config, &envrc]));
        assert!(before.changed().is_empty());
        let told = || -> Vec<_> {
            before.changed().iter().map(|p| p.as_path().file_name().unwrap().to_owned()).collect()
        };
        fs::write(at("beside"), "x").unwrap();
        assert!(told().is_empty());
        fs::write(&envrc, "x").unwrap();
        assert_eq!(told(), [".envrc"]);
        fs::write(at("hooks/sample"), "y").unwrap();
        assert_eq!(told(), ["hooks", ".envrc"]);
        fs::write(at("config.lock"), "x").unwrap();
        fs::rename(at("config.lock"), &config).unwrap();
        assert_eq!(told(), ["hooks", "config", ".envrc"]);
    }
}
