//! What a repository's settings make part of it: files and folders they name, which git obeys and
//! runs like the settings themselves, and the files that lead from submodules to them.

use crate::git_dir::is_git_dir;
use crate::git_settings::{self, Budget, Named};
use crate::place::{self, Places};
use nono_sandbox::AbsPath;
use std::cell::OnceCell;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What is around repositories.
#[derive(Debug)]
pub(crate) struct Surroundings<'c> {
    /// The workspaces, any of which may be a work tree.
    pub(crate) workspaces: &'c [AbsPath],
    /// The trees in which things stay as they are, the workspaces among them.
    pub(crate) roots: &'c [AbsPath],
    /// The user's home.
    pub(crate) home: Option<&'c Path>,
    /// The user's settings beside the home: `$XDG_CONFIG_HOME`, if it is set.
    pub(crate) config_home: Option<&'c Path>,
    /// What may be read of them.
    pub(crate) budget: Budget,
    /// What the settings name that hold for all repositories, once they were read.
    pub(crate) of_all: OnceCell<Named>,
}

impl Surroundings<'_> {
    /// What the settings of the system and of the user name: they hold for every repository.
    ///
    /// # Errors
    /// A sentence, where more would have to be read than may be.
    fn of_all(&self) -> Result<&Named, String> {
        if let Some(known) = self.of_all.get() {
            return Ok(known);
        }
        let config_home = self.config_home.filter(|path| path.is_absolute());
        let config_home = config_home.map(Path::to_path_buf);
        let config_home = config_home.or_else(|| Some(self.home?.join(".config")));
        let files = [
            Some(PathBuf::from("/etc/gitconfig")),
            config_home.map(|folder| folder.join("git/config")),
            self.home.map(|home| home.join(".gitconfig")),
        ];
        let mut all = Named::default();
        for file in files.iter().flatten() {
            let Named { paths, hooks, .. } = git_settings::named(file, self.home, &self.budget)?;
            all.paths.extend(paths);
            all.hooks.extend(hooks);
        }
        Ok(self.of_all.get_or_init(|| all))
    }

    /// Whether it lies in one of the trees.
    pub(crate) fn contain(&self, path: &AbsPath) -> bool {
        self.roots.iter().any(|root| path.is_within(root))
    }

    /// Whether something can stay as it is where settings or links of commands lead: in one of the
    /// trees, holding none, and a file or a folder, or what may become one. Outside it is nobody's
    /// project: a device, a cache, the private folder.
    pub(crate) fn hold(&self, path: &AbsPath) -> bool {
        self.contain(path)
            && !self.roots.iter().any(|root| root.is_within(path))
            && is_plain_or_missing(path.as_path())
    }
}

/// Whether `path` is a file of settings of a repository.
pub(crate) fn is_settings(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let within = |above: &Path| above.iter().any(|name| name == ".git") || is_git_dir(above);
    matches!(name, Some("config" | "config.worktree")) && path.parent().is_some_and(within)
}

/// What the settings in `file`, and those for all repositories, make part of the repository: where
/// each lies, the links on the way to it, and where they lead.
///
/// # Errors
/// A sentence, where more would have to be read than may be.
pub(crate) fn named(
    file: &Path,
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Result<Vec<AbsPath>, String> {
    /// Hooks of one repository, in all the trees they may be relative to.
    const MOST: usize = 1024;
    let Some(git_dir) = file.parent().filter(|_| is_settings(file)) else { return Ok(Vec::new()) };
    let Surroundings { workspaces, home, budget, .. } = surroundings;
    let of_all = surroundings.of_all()?;
    let Named { mut paths, mut hooks, work_trees } = git_settings::named(file, *home, budget)?;
    paths.extend(of_all.paths.iter().cloned());
    hooks.extend(of_all.hooks.iter().cloned());
    let beside = git_dir.file_name().filter(|name| *name == ".git").and(git_dir.parent());
    let trees = work_trees.iter().map(PathBuf::as_path).chain(beside);
    // Without a work tree they run in the repository.
    let tops = trees.chain([git_dir]).chain(workspaces.iter().map(AbsPath::as_path));
    let hooks = tops.flat_map(|top| hooks.iter().map(move |folder| top.join(folder)));
    paths.extend(hooks.take(MOST));
    let pointers = work_trees.iter().map(|tree| normal(&tree.join(".git")));
    paths.extend(pointers.filter(|path| fs::symlink_metadata(path).is_ok_and(|m| m.is_file())));
    let mut all = Vec::new();
    for path in paths {
        let path = normal(&path);
        budget.follow(file, &path)?;
        let Ok(target) = places.as_far_as_possible(&path) else { continue };
        if surroundings.hold(&target) {
            all.extend(place::links(&path).into_iter().filter(|link| surroundings.hold(link)));
            all.push(target);
        }
    }
    Ok(all)
}

/// Where the links in a folder of hooks lead: git runs what is there. Not those that lead to
/// folders, which hold whatever else they hold.
///
/// # Errors
/// A sentence, where more would have to be followed than may be.
pub(crate) fn linked(
    folder: &Path,
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Result<Vec<AbsPath>, String> {
    let Ok(folder) = places.as_far_as_possible(folder) else { return Ok(Vec::new()) };
    let names = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
    let links = names.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let may_be_run = |target: &AbsPath| fs::metadata(target).map_or(true, |it| it.is_file());
    let mut all = Vec::new();
    for link in links {
        // What is there to be made counts as well, so a link is not followed as if it led somewhere.
        let Ok(text) = fs::read_link(link.path()) else { continue };
        let way = normal(&folder.as_path().join(text));
        if !surroundings.budget.follow(folder.as_path(), &way)? {
            continue;
        }
        let Ok(target) = places.as_far_as_possible(&way) else { continue };
        if surroundings.hold(&target) && may_be_run(&target) {
            all.push(target);
        }
    }
    Ok(all)
}

/// Whether it is a file or a folder, or may become one.
fn is_plain_or_missing(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
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
