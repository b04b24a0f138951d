//! What stays as it is in trees that may be written.
//!
//! Looks at the places that are listed, never into a tree; a repository that is there now counts,
//! one that is made later does not.

use crate::context::Context;
use crate::error::ProfileError;
use crate::grants::Candidate;
use crate::layer::{Layer, Protect, Sourced};
use crate::place::{self, DotNames, Places};
use crate::template::Expanded;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Kept, Scope};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The places the `protect` entries of `layer` mean, in the trees that `candidates` let be written.
pub(crate) fn kept(
    layer: &Layer,
    candidates: &[Candidate<FsRule>],
    context: &Context,
    places: &mut Places,
) -> Result<Vec<Kept>, ProfileError> {
    let roots = roots(candidates, context);
    // Where a name can be spelled otherwise.
    let free: Vec<&AbsPath> =
        roots.iter().filter(|root| place::ignores_case(root.as_path())).collect();
    let mut all: Vec<Kept> = Vec::new();
    for protect in &layer.protects.added {
        for path in paths(protect, &roots, context, places)? {
            if !all.iter().any(|known| known.holds(&path)) {
                all.retain(|known| !known.path.is_within(&path));
                let any_case = free.iter().any(|root| path.is_within(root));
                all.push(Kept { path, source: protect.source.clone(), any_case });
            }
        }
    }
    Ok(all)
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

fn paths(
    protect: &Sourced<Protect>,
    roots: &[AbsPath],
    context: &Context,
    places: &mut Places,
) -> Result<Vec<AbsPath>, ProfileError> {
    let refuse = |message: String| ProfileError::entry(&protect.source, message);
    let expanded = protect.value.template.expand(context).map_err(refuse)?;
    // All expansions are the same below their roots.
    let Some(Expanded { components, origin, .. }) = expanded.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for (root, rest) in
        roots.iter().flat_map(|root| below(root, &components).map(move |rest| (root, rest)))
    {
        let base = PathBuf::from(root.as_path());
        let expanded = Expanded { base, components: rest.to_vec(), origin };
        for path in places.paths(&expanded, DotNames::Match).map_err(refuse)? {
            let first = path.strip_prefix(root.as_path()).ok().and_then(|p| p.iter().next());
            let exists = |name| fs::symlink_metadata(root.as_path().join(name)).is_ok();
            // What the entry starts with is the root itself, or something in it.
            let there = rest.len() < components.len() || first.is_some_and(exists);
            if protect.value.existing && !there {
                continue;
            }
            let failed = |error| refuse(format!("{}: {error}", path.display()));
            all.push(in_the_way(root.as_path(), &path, places).map_err(failed)?);
            // Where links on the way lead. Where one leads nowhere, there is nothing to change.
            all.extend(places.as_far_as_possible(&path).ok());
        }
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
