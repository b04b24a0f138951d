//! The second and the third line behind what a profile protects ([`Protected`]).
//!
//! The first is in `observe`: each call that could change something protected is judged. A program
//! that changes a call's arguments while it is judged gets past that. So, where a run has a mount
//! namespace, everything protected that exists when the run starts is also *sealed*: a mount that
//! cannot be written lies over it. And in every run what is protected is compared before and after,
//! so that a change that neither prevented is told.

use crate::AbsPath;
use crate::policy::{Access, FsPolicy, Protected};
use crate::supervisor::{SetupFailed, Stage, canonical};
use crate::sys;
use nix::errno::Errno;
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
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
    let mut paths: Vec<&AbsPath> = before.sealable(policy).collect();
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
    // A mount below another sealed one would be hidden by it, or the same thing twice. Looked up and
    // not compared with each: commands can make thousands.
    let mut sealed: HashSet<&Path> = HashSet::new();
    paths.sort_unstable_by_key(|path| path.as_bytes().len());
    for path in paths {
        let mut outer = path.as_path().ancestors();
        if !outer.any(|outer| sealed.contains(outer)) && remount(path, Writing::Ends)? {
            sealed.insert(path.as_path());
        }
    }
    Ok(())
}

/// Folders between something protected and the tree that may be written: those whose names can be
/// changed.
fn on_the_way<'p>(
    policy: &'p FsPolicy,
    protected: &'p AbsPath,
) -> impl Iterator<Item = AbsPath> + 'p {
    let above = std::iter::successors(protected.parent(), AbsPath::parent);
    above.take_while(|folder| {
        let holder = folder.parent().unwrap_or_else(AbsPath::root);
        policy.rights(&holder).contains(Access::WRITE)
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
        SetupFailed::new(Stage::Namespaces, errno, format!("seal {path} against writing"))
    };
    let Some(object) = canonical::find(path).map_err(failed)? else { return Ok(false) };
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
        let look = |protected: &Protected| {
            // The place of something in the private folder: what lies beside that is nobody's
            // business.
            let is_place = protected.path.parent().as_ref() == Some(&policy.tmpdir);
            (protected.path.clone(), State::of(&protected.path, is_place))
        };
        Self(policy.protected.iter().map(look).collect())
    }

    /// What there is of it. Where that cannot be seen, the folder that nobody may enter: a command
    /// that may change it could open it again, and what is in it would not be sealed.
    fn sealable(&self, policy: &FsPolicy) -> impl Iterator<Item = &AbsPath> {
        self.0.iter().filter_map(|(path, state)| match &state.own {
            Own::There(_) => Some(path),
            Own::Missing => None,
            Own::Unseen { folder, .. } => {
                policy.rights(folder).contains(Access::WRITE).then_some(folder)
            }
        })
    }

    /// Whether the same objects are there, whatever is in them.
    pub(in crate::supervisor) fn same_objects(&self, other: &Self) -> bool {
        let pairs = || self.0.iter().zip(&other.0);
        self.0.len() == other.0.len()
            && pairs()
                .all(|((path, a), (other, b))| path == other && a.own.object() == b.own.object())
    }

    /// What is not as it was: changed by the run, or by somebody else meanwhile.
    pub(in crate::supervisor) fn changes(&self) -> Changes {
        let mut all = Changes::default();
        for (path, before) in &self.0 {
            match difference(before, &State::of(path, before.is_place)) {
                Difference::None => {}
                Difference::Changed => all.files.push(path.clone()),
                Difference::Veiled(folder) if all.folders.contains(folder) => {}
                Difference::Veiled(folder) => all.folders.push(folder.clone()),
            }
        }
        all
    }
}

/// What is not as it was.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Changes {
    /// What stays as it is, and did not.
    pub(in crate::supervisor) files: Vec<AbsPath>,
    /// Folders that were closed or opened, so that nobody can say whether what is in them changed.
    pub(in crate::supervisor) folders: Vec<AbsPath>,
}

/// What became of one thing.
enum Difference<'s> {
    None,
    Changed,
    /// This folder was closed, or was closed before.
    Veiled(&'s AbsPath),
}

fn difference<'s>(before: &'s State, after: &'s State) -> Difference<'s> {
    match (&before.own, &after.own) {
        _ if before == after => Difference::None,
        (_, Own::Unseen { folder, .. }) | (Own::Unseen { folder, .. }, _) => {
            Difference::Veiled(folder)
        }
        _ => Difference::Changed,
    }
}

/// An object, and if it is a folder, what is in it, one level deep.
#[derive(Debug, PartialEq, Eq)]
struct State {
    own: Own,
    names: Vec<(std::ffi::OsString, Option<Stamp>)>,
    /// Whether only its being there counts.
    is_place: bool,
}

/// What can be seen of an object.
#[derive(Debug, PartialEq, Eq)]
enum Own {
    /// It is there.
    There(Stamp),
    /// It is not.
    Missing,
    /// Neither can be said. The folder that is as near to it as one can see: who closes or opens it
    /// leaves a time there.
    Unseen { folder: AbsPath, stamp: Option<Stamp> },
}

impl Own {
    /// What it is, whatever was done to it; `None` if it is missing.
    fn object(&self) -> Option<(bool, (u64, u64))> {
        match self {
            Self::There(stamp) => Some((true, stamp.object)),
            Self::Missing => None,
            Self::Unseen { stamp, .. } => {
                Some((false, stamp.as_ref().map_or((0, 0), |stamp| stamp.object)))
            }
        }
    }

    fn of(path: &AbsPath, found: &io::Result<Metadata>) -> Self {
        match found {
            Ok(metadata) => Self::There(Stamp::of(metadata)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Self::Missing
            }
            Err(_) => Self::unseen(path),
        }
    }

    fn unseen(path: &AbsPath) -> Self {
        let above = std::iter::successors(path.parent(), AbsPath::parent);
        let seen = |folder: AbsPath| {
            let metadata = fs::symlink_metadata(folder.as_path()).ok()?;
            Some((folder, Some(Stamp::of(&metadata))))
        };
        let nearest = above.into_iter().find_map(seen);
        let (folder, stamp) = nearest.unwrap_or_else(|| (AbsPath::root(), None));
        Self::Unseen { folder, stamp }
    }
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
    fn of(path: &AbsPath, is_place: bool) -> Self {
        if is_place { Self::of_place(path) } else { Self::of_all(path) }
    }

    fn of_all(path: &AbsPath) -> Self {
        let found = fs::symlink_metadata(path.as_path());
        let folder = found.as_ref().is_ok_and(Metadata::is_dir);
        let listed = folder.then(|| fs::read_dir(path.as_path()).ok()).flatten();
        let mut names: Vec<_> = listed
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .take(MOST_NAMES)
            .map(|entry| (entry.file_name(), entry.metadata().ok().as_ref().map(Stamp::of)))
            .collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self { own: Own::of(path, &found), names, is_place: false }
    }

    /// That it is there, whatever is in it.
    fn of_place(path: &AbsPath) -> Self {
        let found = fs::symlink_metadata(path.as_path());
        let own = match Own::of(path, &found) {
            Own::There(stamp) => Own::There(Stamp { mode: 0, size: 0, changed: (0, 0), ..stamp }),
            other => other,
        };
        Self { own, names: Vec::new(), is_place: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{FsRule, Scope, Source};

    fn policy(paths: &[&Path]) -> FsPolicy {
        let source = || Source { profile: "t".into(), rule: "r".into(), line: None };
        let protected = |path: &&Path| Protected {
            path: AbsPath::new(*path).unwrap(),
            source: source(),
            any_case: false,
        };
        FsPolicy { protected: paths.iter().map(protected).collect(), ..FsPolicy::of_rules(vec![]) }
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
        assert!(before.changes().files.is_empty());
        let told = || -> Vec<_> {
            let changes = before.changes();
            assert!(changes.folders.is_empty());
            changes.files.iter().map(|p| p.as_path().file_name().unwrap().to_owned()).collect()
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
    fn stamp(inode: u64, changed: i64) -> Stamp {
        Stamp { object: (1, inode), mode: 0o644, size: 0, changed: (changed, 0) }
    }

    fn state(own: Own) -> State {
        State { own, names: Vec::new(), is_place: false }
    }

    fn unseen(changed: i64) -> State {
        let folder = AbsPath::new("/ws/.vscode").unwrap();
        state(Own::Unseen { folder, stamp: Some(stamp(1, changed)) })
    }

    #[test]
    fn what_cannot_be_seen_is_not_missing() {
        let there = |changed| state(Own::There(stamp(2, changed)));
        let missing = || state(Own::Missing);
        let told = |before: &State, after: &State| match difference(before, after) {
            Difference::None => "nothing".to_owned(),
            Difference::Changed => "changed".to_owned(),
            Difference::Veiled(folder) => folder.to_string(),
        };
        for (before, after, expected) in [
            (there(1), there(1), "nothing"),
            (there(1), there(2), "changed"),
            (missing(), there(1), "changed"),
            (there(1), missing(), "changed"),
            (missing(), unseen(2), "/ws/.vscode"),
            (there(1), unseen(2), "/ws/.vscode"),
            (unseen(2), there(1), "/ws/.vscode"),
            (unseen(2), missing(), "/ws/.vscode"),
            // Opened and closed again.
            (unseen(2), unseen(3), "/ws/.vscode"),
            (unseen(2), unseen(2), "nothing"),
        ] {
            assert_eq!(told(&before, &after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_closed_folder_is_sealed_where_it_could_be_opened() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let before = Before(vec![
            (path("/ws/.vscode/tasks.json"), unseen(1)),
            (path("/ws/.envrc"), state(Own::Missing)),
            (path("/ws/.git/config"), state(Own::There(stamp(2, 1)))),
        ]);
        let sealed = |access| {
            let source = Source { profile: "t".into(), rule: "r".into(), line: None };
            let rule = FsRule { path: path("/ws"), scope: Scope::Tree, access, source };
            let policy = FsPolicy::of_rules(vec![rule]);
            before.sealable(&policy).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(sealed(Access::READ | Access::WRITE), ["/ws/.vscode", "/ws/.git/config"]);
        assert_eq!(sealed(Access::READ), ["/ws/.git/config"]);
    }
}
