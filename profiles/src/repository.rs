//! What a repository's settings make part of it: files and folders they name, which git obeys and
//! runs like the settings themselves, and the files that lead from submodules to them.

use crate::git_settings::{self, Named};
use crate::place::{self, Places};
use nono_sandbox::AbsPath;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What paths in settings may be relative to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'c> {
    /// The workspaces, any of which may be a work tree.
    pub(crate) workspaces: &'c [AbsPath],
    /// The user's home.
    pub(crate) home: Option<&'c Path>,
}

/// Whether `path` is a file of settings of a repository.
pub(crate) fn is_settings(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let within = path.parent().is_some_and(|above| above.iter().any(|name| name == ".git"));
    within && matches!(name, Some("config" | "config.worktree"))
}

/// What the settings in `file` make part of the repository: where each lies, the links on the way
/// to it, and where they lead. Nothing that holds `root` or a workspace: there, all would stay as it
/// is.
pub(crate) fn named(
    file: &Path,
    root: &AbsPath,
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Vec<AbsPath> {
    let Some(git_dir) = file.parent().filter(|_| is_settings(file)) else { return Vec::new() };
    let Surroundings { workspaces, home } = *surroundings;
    let Named { mut paths, hooks, work_trees } = git_settings::named(file, home);
    let beside = git_dir.file_name().filter(|name| *name == ".git").and(git_dir.parent());
    let trees = work_trees.iter().map(PathBuf::as_path).chain(beside);
    let tops = trees.clone().chain(workspaces.iter().map(AbsPath::as_path));
    for top in tops {
        paths.extend(hooks.iter().map(|folder| top.join(folder)));
    }
    let pointers = work_trees.iter().map(|tree| normal(&tree.join(".git")));
    paths.extend(pointers.filter(|path| fs::symlink_metadata(path).is_ok_and(|m| m.is_file())));
    let mut all = Vec::new();
    for path in paths {
        let path = normal(&path);
        let Ok(target) = places.as_far_as_possible(&path) else { continue };
        let holds = |tree: &AbsPath| tree.is_within(&target);
        if !holds(root) && !workspaces.iter().any(holds) {
            all.extend(place::links(&path));
            all.push(target);
        }
    }
    all
}

/// A path without `.` and `..`, as it is written.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut at, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(at.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => at.push(component),
        }
        at
    })
}
