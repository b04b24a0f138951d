//! Where the repository of a work tree is, if it is not the folder `.git`.
//!
//! A file `.git` leads to it (gitrepository-layout(5)): of further work trees, of submodules, of
//! `--separate-git-dir`, of a bare repository with work trees beside it. It may be a part of another
//! one, which its `commondir` names. And a folder can be a repository itself, without a work tree.

use crate::git_settings::{self, Budget, text};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The repository that a folder of `uid` belongs to, as it is named: `.git` of the nearest folder that
/// has one, or where that leads if it is a file.
///
/// Commands and other users can put anything there. Nothing of it keeps whoever asks waiting, and
/// what a file leads to counts only if it says the same: as a further work tree or a submodule.
#[must_use]
pub fn git_dir_of(folder: &Path, uid: u32) -> Option<PathBuf> {
    let mut above = folder.ancestors();
    let top = above.find(|at| at.join(".git").symlink_metadata().is_ok())?;
    let git = top.join(".git");
    let found = git.symlink_metadata().ok().filter(|found| found.uid() == uid)?;
    if found.is_dir() {
        return Some(git);
    }
    let budget = Budget::default();
    let repository = pointer(&git, b"gitdir: ", &budget).ok()??;
    let same = |named: &Path, path: &Path| {
        named.canonicalize().is_ok_and(|named| path.canonicalize().is_ok_and(|path| path == named))
    };
    let file = pointer(&repository.join("gitdir"), b"", &budget).ok()?;
    let of_tree = file.is_some_and(|file| same(&file, &git));
    let of_module = || {
        let settings = git_settings::named(&repository.join("config"), None, &budget);
        settings.is_ok_and(|settings| settings.work_trees.iter().any(|tree| same(tree, top)))
    };
    (of_tree || of_module()).then_some(repository)
}

/// The folders that git takes for the repository of `top`, but for its `.git`.
pub(crate) fn elsewhere(top: &Path, budget: &Budget) -> Result<Vec<PathBuf>, String> {
    let mut all = Vec::new();
    if is_git_dir(top) {
        all.push(top.to_path_buf());
    }
    if let Some(linked) = pointer(&top.join(".git"), b"gitdir: ", budget)? {
        all.extend(pointer(&linked.join("commondir"), b"", budget)?);
        all.push(linked);
    }
    Ok(all)
}

/// Whether git takes a folder for a repository, as far as that can be told without reading it.
pub(crate) fn is_git_dir(folder: &Path) -> bool {
    let there = |name: &str| folder.join(name).symlink_metadata().is_ok();
    there("HEAD") && (there("objects") || there("commondir"))
}

/// What a file names behind `start`, relative to its folder.
fn pointer(file: &Path, start: &[u8], budget: &Budget) -> Result<Option<PathBuf>, String> {
    let text = text(file, budget)?;
    let line = text.split(|byte| *byte == b'\n' || *byte == b'\r').next().unwrap_or_default();
    let Some(named) = line.strip_prefix(start).filter(|named| !named.is_empty()) else {
        return Ok(None);
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    Ok(Some(folder.join(OsStr::from_bytes(named))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_lead_to_repositories_and_those_to_what_they_are_a_part_of() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let found = |top: &str| elsewhere(&at(top), &Budget::default()).unwrap();
        for made in ["plain/.git/objects", "bare/objects", "tree", "wt", "bare/worktrees/wt"] {
            fs::create_dir_all(at(made)).unwrap();
        }
        fs::write(at("plain/.git/HEAD"), "").unwrap();
        assert_eq!(found("plain"), Vec::<PathBuf>::new());
        assert_eq!(found("bare"), Vec::<PathBuf>::new(), "no HEAD yet");
        fs::write(at("bare/HEAD"), "").unwrap();
        assert_eq!(found("bare"), [at("bare")]);
        fs::write(at("tree/.git"), "gitdir: ../bare\n").unwrap();
        assert_eq!(found("tree"), [at("tree/../bare")]);
        let linked = at("bare/worktrees/wt");
        fs::write(at("wt/.git"), format!("gitdir: {}\r\n", linked.display())).unwrap();
        fs::write(linked.join("commondir"), "../..\n").unwrap();
        assert_eq!(found("wt"), [linked.join("../.."), linked]);
        fs::write(at("wt/.git"), "something else").unwrap();
        assert_eq!(found("wt"), Vec::<PathBuf>::new());
    }

    /// Commands can put anything there, and a server that starts looks at it.
    #[test]
    fn nothing_but_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join(".git");
        nix::unistd::mkfifo(&git, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        assert_eq!(git_dir_of(folder.path(), uid), None);
        fs::remove_file(&git).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &git).unwrap();
        assert_eq!(git_dir_of(folder.path(), uid), None);
        fs::remove_file(&git).unwrap();
        fs::write(&git, "gitdir: /etc").unwrap();
        assert_eq!(git_dir_of(folder.path(), uid), None, "it says nothing of a work tree here");
        fs::remove_file(&git).unwrap();
        fs::create_dir(&git).unwrap();
        assert_eq!(git_dir_of(folder.path(), uid + 1), None, "somebody else's");
        assert_eq!(git_dir_of(folder.path(), uid), Some(git));
    }
}
