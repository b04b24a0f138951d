//! What lay at paths when rules were made of them, and whether it still does.

use crate::AbsPath;
use nix::sys::stat::lstat;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Device and inode.
type Identity = (u64, u64);

/// What lies at a path, if anything does.
fn identity(path: &AbsPath) -> Option<Identity> {
    lstat(path.as_path()).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Paths and what lay there. The objects have to be held, so that none of their identities is given
/// to another one.
#[derive(Debug, Default)]
pub struct Snapshot(BTreeMap<AbsPath, Folder>);

/// What was looked at in a folder. Most paths are in a few folders, and one that has not changed has
/// no other names in it than before.
#[derive(Debug)]
struct Folder {
    stamp: Option<Stamp>,
    paths: Vec<(AbsPath, Option<Identity>)>,
}

/// A folder and its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    identity: Identity,
    changed: (i64, i64),
}

impl Snapshot {
    /// Looks at these.
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p AbsPath>) -> Self {
        let mut snapshot = Self::default();
        paths.into_iter().for_each(|path| snapshot.note(path.clone()));
        snapshot
    }

    /// Looks at the same paths again, by somebody who may see less.
    pub(super) fn again(&self) -> Self {
        let paths = self.0.values().flat_map(|folder| &folder.paths);
        Self::of(paths.map(|(path, _)| path))
    }

    /// Takes note of a path that is about to be opened: what is put there later is noticed later.
    pub(super) fn note(&mut self, path: AbsPath) {
        let folder = path.parent().unwrap_or_else(AbsPath::root);
        let new = |folder: &AbsPath| Folder { stamp: Stamp::settled(folder), paths: Vec::new() };
        let folder = self.0.entry(folder).or_insert_with_key(new);
        let identity = identity(&path);
        folder.paths.push((path, identity));
    }

    /// Whether all paths still lead to what they led to, and what was missing is missing.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.0.iter().all(|(at, Folder { stamp, paths })| {
            let unchanged = stamp.is_some() && Stamp::of(at) == *stamp;
            unchanged || paths.iter().all(|(path, then)| identity(path) == *then)
        })
    }
}

impl Stamp {
    fn of(folder: &AbsPath) -> Option<Self> {
        let stat = lstat(folder.as_path()).ok()?;
        Some(Self {
            identity: (stat.st_dev, stat.st_ino),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// As long as a folder's last change is this recent, another one may get the same time: file
    /// systems have clocks of their own, of a few milliseconds.
    fn settled(folder: &AbsPath) -> Option<Self> {
        const RECENT: Duration = Duration::from_secs(2);
        let stamp = Self::of(folder)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let changed = Duration::from_secs(stamp.changed.0.try_into().ok()?);
        (now.checked_sub(changed)? > RECENT).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn at(&self, name: &str) -> AbsPath {
            AbsPath::new(self.0.path().canonicalize().unwrap().join(name)).unwrap()
        }

        /// A file, one that is missing, and one in a folder of its own.
        fn snapshot(&self) -> Snapshot {
            let mut snapshot = Snapshot::default();
            for name in ["file", "missing", "folder/file"] {
                snapshot.note(self.at(name));
            }
            snapshot
        }

        /// The same, of folders whose last change was long ago.
        fn settled(&self) -> Snapshot {
            let mut snapshot = self.snapshot();
            for (at, folder) in &mut snapshot.0 {
                folder.stamp = Stamp::of(at);
            }
            snapshot
        }
    }

    fn tree() -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        fs::create_dir(tree.at("folder").as_path()).unwrap();
        for name in ["file", "folder/file", "beside"] {
            fs::write(tree.at(name).as_path(), "x").unwrap();
        }
        tree
    }

    fn notices(change: impl Fn(&Tree)) {
        for snapshot in [Tree::snapshot, Tree::settled] {
            let tree = tree();
            let snapshot = snapshot(&tree);
            assert!(snapshot.is_current());
            change(&tree);
            assert!(!snapshot.is_current());
        }
    }

    #[test]
    fn what_is_replaced_made_or_removed_is_noticed() {
        let put = |tree: &Tree, from: &str, to: &str| {
            fs::rename(tree.at(from).as_path(), tree.at(to).as_path()).unwrap();
        };
        notices(|tree| put(tree, "beside", "file"));
        notices(|tree| put(tree, "beside", "missing"));
        notices(|tree| put(tree, "beside", "folder/file"));
        notices(|tree| fs::remove_file(tree.at("folder/file").as_path()).unwrap());
        notices(|tree| {
            put(tree, "folder", "elsewhere");
            fs::create_dir(tree.at("folder").as_path()).unwrap();
            fs::write(tree.at("folder/file").as_path(), "x").unwrap();
        });
    }

    #[test]
    fn other_names_and_what_is_in_files_change_nothing() {
        let tree = tree();
        let snapshot = tree.settled();
        fs::write(tree.at("another").as_path(), "x").unwrap();
        fs::write(tree.at("file").as_path(), "longer").unwrap();
        assert!(snapshot.is_current());
    }

    #[test]
    fn a_folder_that_has_just_changed_is_no_proof() {
        let tree = tree();
        assert!(tree.snapshot().0.values().all(|folder| folder.stamp.is_none()));
    }
}
