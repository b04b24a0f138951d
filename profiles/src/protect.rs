//! What the entries of `filesystem.protect` mean: what stays as it is in trees that may be written.
//!
//! Only the places that entries name are looked at; no tree is searched. A repository counts if it is
//! there when the profile is resolved; one that is made later does not. Patterns are matched again
//! whenever a run starts: a work tree or a submodule that is added meanwhile, to a repository that
//! counts, is protected from the next run on.

use crate::collect::Collected;
use crate::context::Context;
use crate::error::ProfileError;
use crate::git_dir;
use crate::git_settings::Budget;
use crate::glob::is_glob;
use crate::grants::Candidate;
use crate::layer::{Layer, Protect, Sourced};
use crate::place::{self, DotNames, Places};
use crate::repository::{self, Surroundings};
use crate::template::Expanded;
use crate::variables::Origin;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Policy, Protected, ProtectedPattern, Scope};
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    pub(crate) protected: Vec<Protected>,
    pub(crate) patterns: Vec<ProtectedPattern>,
    /// The trees they were looked for in.
    pub(crate) roots: Vec<AbsPath>,
}

/// The places the `protect` entries of `layer` mean, in the trees that `candidates` let be written.
pub(crate) fn protected(
    layer: &Layer,
    candidates: &[Candidate<FsRule>],
    context: &Context,
    places: &mut Places,
) -> Result<Protection, ProfileError> {
    let roots = roots(candidates, context);
    let config_home = context.environment.get(OsStr::new("XDG_CONFIG_HOME")).map(Path::new);
    let surroundings = Surroundings {
        workspaces: &context.workspaces,
        roots: &roots,
        home: context.home.as_deref(),
        config_home,
        budget: Budget::default(),
        of_all: OnceCell::new(),
    };
    // Where a name can be spelled otherwise.
    let free: Vec<&AbsPath> =
        roots.iter().filter(|root| place::ignores_case(root.as_path())).collect();
    let any_case = |path: &AbsPath| free.iter().any(|root| path.is_within(root));
    let mut protected = Collected::default();
    let mut all = Vec::new();
    for protect in &layer.protects.added {
        let refuse = |message: String| ProfileError::entry(&protect.source, message);
        let found = find(protect, &surroundings, context, places).map_err(refuse)?;
        let source = &protect.source;
        for path in found.paths {
            protected.add(Protected { any_case: any_case(&path), path, source: source.clone() });
        }
        all.extend(found.patterns.into_iter().map(|(root, names)| ProtectedPattern {
            any_case: any_case(&root),
            root,
            names,
            source: source.clone(),
        }));
    }
    for pattern in &all {
        let found = matches(pattern, &surroundings, places)
            .map_err(|message| ProfileError::entry(&pattern.source, message))?;
        found.into_iter().for_each(|found| protected.add(found));
    }
    Ok(Protection { protected: protected.finish(), patterns: all, roots })
}

/// What stays as it is in a run that starts now: besides what did when the profile was resolved, what
/// its patterns match by now.
///
/// # Errors
/// A sentence that says which entry matches more than can be kept.
pub fn protected_now(policy: &Policy) -> Result<Vec<Protected>, String> {
    let fs = &policy.fs;
    let mut places = Places::default();
    let mut all: Collected = fs.protected.iter().cloned().collect();
    let variable = |name| {
        policy.environment.variables.get(name).map(|value| Path::new(OsStr::from_bytes(value)))
    };
    let surroundings = Surroundings {
        workspaces: &fs.workspaces,
        roots: &fs.protected_roots,
        home: variable("HOME"),
        config_home: variable("XDG_CONFIG_HOME"),
        budget: Budget::default(),
        of_all: OnceCell::new(),
    };
    for pattern in &fs.protected_patterns {
        let found = matches(pattern, &surroundings, &mut places)
            .map_err(|message| format!("{}: {message}", pattern.source))?;
        let found = found.into_iter().filter(|protected| may_be_written(&fs.rules, protected));
        found.for_each(|protected| all.add(protected));
    }
    Ok(all.finish())
}

/// Whether any rule lets it be changed; else there is nothing to protect.
pub(crate) fn may_be_written(rules: &[FsRule], protected: &Protected) -> bool {
    rules.iter().any(|rule| rule.access.intersects(Access::CHANGES) && rule.covers(&protected.path))
}

/// The trees that entries are relative to: the workspaces, and what the operator lets be written
/// beside them, by whatever variable. Folders that built-in profiles open are caches and the like.
fn roots(candidates: &[Candidate<FsRule>], context: &Context) -> Vec<AbsPath> {
    let mut roots = context.workspaces.clone();
    let granted = candidates.iter().filter(|candidate| {
        let Candidate { rule, built_in, .. } = candidate;
        rule.scope == Scope::Tree && rule.access.contains(Access::WRITE) && !built_in
    });
    for candidate in granted {
        if !roots.contains(&candidate.rule.path) {
            roots.push(candidate.rule.path.clone());
        }
    }
    roots
}

/// What an entry comes to.
#[derive(Debug, Default)]
struct Targets {
    /// Places that are settled.
    paths: Vec<AbsPath>,
    /// Roots and names below them that are looked for whenever a run starts.
    patterns: Vec<(AbsPath, Vec<String>)>,
}

fn find(
    protect: &Sourced<Protect>,
    surroundings: &Surroundings<'_>,
    context: &Context,
    places: &mut Places,
) -> Result<Targets, String> {
    let expanded = protect.value.template.expand(context)?;
    // All expansions are the same below their roots.
    let Some(Expanded { components, .. }) = expanded.into_iter().next() else {
        return Ok(Targets::default());
    };
    let mut found = Targets::default();
    for (root, rest) in meant(&components, surroundings, places)? {
        // What the entry starts with is the root itself, or something in it.
        let asks = protect.value.existing && rest.len() == components.len();
        let exists = |name: &OsStr| fs::symlink_metadata(root.as_path().join(name)).is_ok();
        // Which folders are meant by a pattern that starts with one is settled with `existing`.
        let settled = asks && rest.first().is_some_and(|first| is_glob(first));
        let globs = rest.iter().any(|name| is_glob(name));
        let names_more = repository::is_settings(&root.as_path().join(rest.join("/")));
        if (globs && !settled) || (names_more && !globs) {
            if !asks || rest.first().is_some_and(|first| exists(OsStr::new(first))) {
                found.patterns.push((root, rest.to_vec()));
            }
            continue;
        }
        for path in places.paths(&below_root(&root, rest), DotNames::Match)? {
            let first = path.strip_prefix(root.as_path()).ok().and_then(|p| p.iter().next());
            if !asks || first.is_some_and(exists) {
                found.paths.extend(located(&root, &path, surroundings, places)?);
            }
        }
    }
    Ok(found)
}

/// Where an entry is looked for: in each tree, and, if it is about `.git`, in what git takes for
/// that.
fn meant<'c>(
    components: &'c [String],
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Result<Vec<(AbsPath, &'c [String])>, String> {
    let mut all = Vec::new();
    for root in surroundings.roots {
        all.extend(below(root, components).map(|rest| (root.clone(), rest)));
        let Some((_, rest)) = components.split_first().filter(|(first, _)| *first == ".git") else {
            continue;
        };
        for folder in git_dir::elsewhere(root.as_path(), &surroundings.budget)? {
            let Ok(folder) = places.as_far_as_possible(&folder) else { continue };
            let known = all.iter().any(|(root, names)| *root == folder && *names == rest);
            if !known && surroundings.contain(&folder) {
                all.push((folder, rest));
            }
        }
    }
    Ok(all)
}

fn below_root(root: &AbsPath, names: &[String]) -> Expanded {
    let base = PathBuf::from(root.as_path());
    Expanded { base, components: names.to_vec(), origin: Origin::Written }
}

/// Where `path` lies, and where links on the way lead. Where one leads nowhere, there is nothing to
/// change.
fn located(
    root: &AbsPath,
    path: &Path,
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Result<Vec<AbsPath>, String> {
    let location = in_the_way(root.as_path(), path, places)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    // Commands make links as well: one to the whole workspace, or to the repository that it lies in,
    // would close that for good.
    let end = places.as_far_as_possible(path).ok();
    let end = end.filter(|end| surroundings.hold(end) && !location.is_within(end));
    let mut all = vec![location];
    all.extend(end);
    all.extend(repository::linked(path, surroundings, places)?);
    Ok(all)
}

/// What a pattern matches now.
fn matches(
    pattern: &ProtectedPattern,
    surroundings: &Surroundings<'_>,
    places: &mut Places,
) -> Result<Vec<Protected>, String> {
    let ProtectedPattern { root, names, source, any_case } = pattern;
    let protected = |path| Protected { path, source: source.clone(), any_case: *any_case };
    let found = match places.paths(&below_root(root, names), DotNames::Match) {
        Ok(found) => found,
        // More than can be named: the folder they are in, if that is not the whole tree.
        Err(message) => {
            let literal = names.iter().take_while(|name| !is_glob(name));
            let folder = literal.fold(root.as_path().to_path_buf(), |at, name| at.join(name));
            if folder == root.as_path() {
                return Err(message);
            }
            vec![folder]
        }
    };
    let mut all = Vec::new();
    for path in found {
        all.extend(located(root, &path, surroundings, places)?.into_iter().map(protected));
        all.extend(repository::named(&path, surroundings, places)?.into_iter().map(protected));
    }
    Ok(all)
}

/// What of an entry lies in the tree `root`: all of it, and of one that starts above and leads
/// into it the rest. `.git/config` is in a granted `.git` as well.
fn below<'c>(root: &AbsPath, components: &'c [String]) -> impl Iterator<Item = &'c [String]> {
    let names: Vec<_> = root.as_path().iter().collect();
    let leads_into = move |length: usize| {
        let (Some(start), Some(way)) = (names.len().checked_sub(length), components.get(..length))
        else {
            return false;
        };
        let end = names.get(start..).unwrap_or_default();
        way.iter().zip(end).all(|(component, name)| component.as_str() == *name)
    };
    // With nothing left it would be the root itself, which was granted for what it is.
    (0..components.len())
        .filter(move |length| leads_into(*length))
        .filter_map(|l| components.get(l..))
}

/// Where the first thing on the way from `root` to `path` lies that is no folder, or `path` itself:
/// a file or a link where a folder is expected (`.git` of a work tree) decides what the rest means.
fn in_the_way(root: &Path, path: &Path, places: &mut Places) -> io::Result<AbsPath> {
    let mut at = root.to_path_buf();
    for name in path.strip_prefix(root).unwrap_or(path) {
        at.push(name);
        if fs::symlink_metadata(&at).is_ok_and(|metadata| !metadata.is_dir()) {
            break;
        }
    }
    places.location(&at)
}
