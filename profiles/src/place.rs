//! Questions about the file system: where a path really leads, what a glob matches.

#[cfg(test)]
mod tests;

use crate::glob::{glob, is_glob};
use crate::template::Expanded;
use nono_sandbox::AbsPath;
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Names one entry's globs may match. Each would be a rule of its own in every run.
const MAX_MATCHES: usize = 1024;

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Which names a `*` at the start of a glob matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DotNames {
    /// All but those that start with a dot, as a shell has it: grants.
    Skip,
    /// All: denials.
    Match,
}

/// Looks at the file system, and at nothing twice: the paths of a profile share a few folders.
#[derive(Debug, Default)]
pub(crate) struct Places {
    folders: HashMap<PathBuf, Result<AbsPath, (io::ErrorKind, String)>>,
    listings: HashMap<PathBuf, Vec<OsString>>,
}

/// An existing object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Existing {
    /// Its canonical path.
    pub(crate) path: AbsPath,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
}

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Folder,
    /// An empty one.
    File,
}

impl Places {
    /// The paths an expanded template means: itself, or what its globs match. Globs look into one
    /// folder per component, never into a tree.
    pub(crate) fn paths(
        &mut self,
        expanded: &Expanded,
        dots: DotNames,
    ) -> Result<Vec<PathBuf>, String> {
        let mut found = vec![expanded.base.clone()];
        for component in &expanded.components {
            if !is_glob(component) {
                found.iter_mut().for_each(|path| path.push(component));
                continue;
            }
            let glob = glob(component)?.compile_matcher();
            let dots = if component.starts_with('.') { DotNames::Match } else { dots };
            let fits = |name: &OsString| {
                let hidden = dots == DotNames::Skip && name.as_bytes().starts_with(b".");
                !hidden && glob.is_match(name)
            };
            let mut matched = Vec::new();
            for folder in found {
                let names = self.listing(&folder).iter();
                matched.extend(names.filter(|name| fits(name)).map(|name| folder.join(name)));
                if matched.len() > MAX_MATCHES {
                    return Err(format!(
                        "the glob matches more than {MAX_MATCHES} names; name their folder instead"
                    ));
                }
            }
            found = matched;
        }
        Ok(found)
    }

    /// The names in a folder, sorted; none if it cannot be listed.
    fn listing(&mut self, folder: &Path) -> &[OsString] {
        self.listings.entry(folder.to_path_buf()).or_insert_with(|| {
            let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
            names.sort_unstable();
            names
        })
    }

    /// The object an existing path leads to.
    pub(crate) fn existing(&mut self, path: &Path) -> io::Result<Existing> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return followed(path);
        };
        let location = self.folder(parent)?.as_path().join(name);
        let metadata = fs::symlink_metadata(&location)?;
        if metadata.is_symlink() {
            return followed(&location);
        }
        Ok(Existing { path: absolute(location)?, is_folder: metadata.is_dir() })
    }

    /// Where a path leads as far as it exists; the rest is appended as written.
    pub(crate) fn as_far_as_possible(&mut self, path: &Path) -> io::Result<AbsPath> {
        let error = match self.existing(path) {
            Ok(found) => return Ok(found.path),
            Err(error) => error,
        };
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                absolute(self.as_far_as_possible(parent)?.as_path().join(name))
            }
            _ => Err(error),
        }
    }

    /// Where the name `path` lies, whatever it leads to.
    pub(crate) fn location(&mut self, path: &Path) -> io::Result<AbsPath> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                absolute(self.as_far_as_possible(parent)?.as_path().join(name))
            }
            _ => self.as_far_as_possible(path),
        }
    }

    /// Where a denied path lies and, if that is a symbolic link, where it leads.
    pub(crate) fn both_ends(&mut self, path: &Path) -> io::Result<Vec<AbsPath>> {
        let location = self.location(path)?;
        let is_link = fs::symlink_metadata(&location).is_ok_and(|m| m.is_symlink());
        // A dangling link leads nowhere that could be closed.
        let target = if is_link { followed(location.as_path()).ok() } else { None };
        Ok([Some(location), target.map(|found| found.path)].into_iter().flatten().collect())
    }

    fn folder(&mut self, path: &Path) -> io::Result<AbsPath> {
        if let Some(known) = self.folders.get(path) {
            return known.clone().map_err(|(kind, message)| io::Error::new(kind, message));
        }
        let found = self.existing(path).map(|found| found.path);
        let remembered = found.as_ref().map_err(|error| (error.kind(), error.to_string()));
        self.folders.insert(path.to_path_buf(), remembered.cloned());
        found
    }

    /// Makes what is missing at `path` with no rights for others, folders on the way included, if the
    /// folder it will lie in belongs to `uid`. Otherwise a server started with somebody else's home
    /// would leave things there that their owner cannot use.
    ///
    /// Returns whether it was made.
    pub(crate) fn make(&mut self, what: Make, path: &Path, uid: u32) -> io::Result<bool> {
        let existing = path.ancestors().skip(1).find_map(|parent| fs::metadata(parent).ok());
        if !existing.is_some_and(|parent| parent.is_dir() && parent.uid() == uid) {
            return Ok(false);
        }
        let folder = match what {
            Make::Folder => Some(path),
            Make::File => path.parent(),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder.unwrap_or(path))?;
        if what == Make::File {
            // Nothing but a new file: not what a link leads to.
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        }
        *self = Self::default();
        Ok(true)
    }
}

/// Whether names in a folder are the same however they are spelled: by its own name if it can be seen
/// from above, and by those in it. A folder in which there is nothing to tell by says no.
pub(crate) fn ignores_case(folder: &Path) -> bool {
    const ENOUGH: usize = 32;
    let identity = |path: &Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let same = |path: &Path, name: &OsStr| {
        let other: Vec<u8> = name.as_bytes().iter().map(|b| swapped(*b)).collect();
        let found = identity(path);
        other != name.as_bytes()
            && found.is_some()
            && found == identity(&path.with_file_name(OsStr::from_bytes(&other)))
    };
    let inside = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).take(ENOUGH);
    let itself = folder.file_name().is_some_and(|name| same(folder, name));
    itself || inside.into_iter().any(|entry| same(&entry.path(), &entry.file_name()))
}

/// The other case of a letter of ASCII.
fn swapped(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { byte }
}

/// Where the symbolic links lie that a path leads over, as far as it exists. None for a path that is
/// canonical.
pub(crate) fn links(path: &Path) -> Vec<AbsPath> {
    let mut all = Vec::new();
    let mut at = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = names(path).collect();
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let Ok(target) = fs::read_link(&next) else {
            at = next;
            continue;
        };
        if all.len() == MAX_LINKS {
            break;
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        names(&target).rev().for_each(|name| rest.push_front(name));
        all.extend(absolute(next));
    }
    all
}

/// The link in a workspace that a path leads over: commands can put it elsewhere.
/// `workspaces`: canonical.
#[must_use]
pub fn link_of_commands<'w>(
    path: &Path,
    workspaces: impl Iterator<Item = &'w AbsPath> + Clone,
) -> Option<AbsPath> {
    let theirs = |link: &AbsPath| workspaces.clone().any(|workspace| link.is_below(workspace));
    links(path).into_iter().find(theirs)
}

/// The names in a path, `..` among them.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

/// Follows symbolic links to the end.
fn followed(path: &Path) -> io::Result<Existing> {
    let real = fs::canonicalize(path)?;
    if is_of_this_process(path, &real) {
        let message = "leads to a folder of the process that asks; grant /proc instead";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let is_folder = fs::metadata(&real)?.is_dir();
    Ok(Existing { path: absolute(real)?, is_folder })
}

/// Links such as `/dev/fd` lead into `/proc/PID`, where PID is whoever looks: the server now, the
/// command later. Their targets mean nothing in a policy.
fn is_of_this_process(written: &Path, real: &Path) -> bool {
    let pid = |path: &Path| {
        let below = path.strip_prefix("/proc").ok()?;
        let first = below.components().next()?.as_os_str().to_str()?;
        first.bytes().all(|b| b.is_ascii_digit()).then(|| first.to_owned())
    };
    pid(real).is_some() && pid(written) != pid(real)
}

fn absolute(path: PathBuf) -> io::Result<AbsPath> {
    AbsPath::new(path).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}
