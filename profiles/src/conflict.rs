//! Making sure that no rule opens what stays closed.
//!
//! Landlock adds rights up and cannot take one away below a granted folder. So a grant that covers
//! a denied path is replaced by grants for everything around that path where that is possible, and
//! refused where it is not: in a writable tree, whose new folders would be missing from the list.

#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::deny::Denied;
use crate::error::{Opening, ProfileError, Relation};
use crate::grants::Candidate;
use crate::note::{Note, NoteKind};
use crate::variables::Origin;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Reach, ReadOnly, Scope, Source, UnixGrant};
use std::fs;

/// Rules one grant may be narrowed into. Each costs a few microseconds in every run.
const MAX_NARROWED: usize = 512;

/// Makes sure that no profile lets commands change the server's own program, which would run
/// outside of the sandbox at the next start.
///
/// A workspace the program was built in cannot be refused, as it is where somebody works on the
/// program itself; it is noted.
pub(crate) fn own_program(
    candidates: &[Candidate<FsRule>],
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<(), ProfileError> {
    let Some(program) = &context.own.program else { return Ok(()) };
    let writable = candidates
        .iter()
        .filter(|c| c.rule.access.contains(Access::WRITE) && c.rule.covers(program));
    for Candidate { rule, origin, built_in, .. } in writable {
        if *origin == Origin::Written && !built_in {
            let message = format!(
                "{} contains {program}, the program of the sandbox itself, and would make it \
                 writable; grant the folders beside it one by one",
                rule.path
            );
            return Err(ProfileError::entry(&rule.source, message));
        }
        notes.push(Note {
            kind: NoteKind::OwnProgram,
            source: rule.source.clone(),
            message: format!(
                "{} contains {program}, the program of the sandbox itself; commands can replace \
                 it, so install it elsewhere unless you work on it",
                rule.path
            ),
            built_in: *built_in,
        });
    }
    Ok(())
}

/// Rules that open nothing denied.
pub(crate) fn files(
    candidates: Vec<Candidate<FsRule>>,
    denied: &[Denied],
    notes: &mut Vec<Note>,
) -> Result<Vec<FsRule>, ProfileError> {
    let mut rules = Vec::new();
    for candidate in candidates {
        // Making a socket opens no file, and its exact place is mediation's to judge.
        if candidate.rule.access == Access::MAKE_SOCKET {
            rules.push(candidate.rule);
            continue;
        }
        let conflict = denied
            .iter()
            .filter_map(|p| Some((p, file_relation(&candidate.rule, &p.path)?)))
            // A grant within a closed tree cannot be narrowed, whatever else is closed below it.
            .min_by_key(|(_, relation)| *relation == Relation::Contains);
        match conflict {
            None => rules.push(candidate.rule),
            Some((p, relation)) => {
                rules.extend(settle(candidate, p, relation, denied, notes)?);
            }
        }
    }
    Ok(rules)
}

/// Socket grants that reach into nothing denied. A grant for one exact socket is taken at its
/// word: it opens no file beside it.
pub(crate) fn sockets(
    candidates: Vec<Candidate<UnixGrant>>,
    denied: &[Denied],
    notes: &mut Vec<Note>,
) -> Result<Vec<UnixGrant>, ProfileError> {
    let mut grants = Vec::new();
    for Candidate { rule, origin, built_in, .. } in candidates {
        let conflict = denied.iter().find_map(|p| {
            let relation = relation(&rule.path, &p.path)?;
            let relevant = match rule.reach {
                Reach::Exact => false,
                Reach::Children => relation != Relation::Contains,
                Reach::Subtree => true,
            };
            relevant.then_some((p, relation))
        });
        let Some((denied, relation)) = conflict else {
            grants.push(rule);
            continue;
        };
        let opening = opening(&rule.source, &rule.path, relation, denied);
        // The grant of a workspace's sockets stands back where a part of the workspace is closed.
        let inside = origin == Origin::Workspace && denied.origin == Origin::Workspace;
        if lenient(origin, built_in) || inside {
            notes.push(left_out(opening, built_in));
        } else {
            return Err(refused(opening, origin, "grant the sockets that are meant one by one"));
        }
    }
    Ok(grants)
}

/// What being read-only took, without what would open something denied: such a grant is refused
/// or left out as soon as it can write.
pub(crate) fn around(mut taken: ReadOnly, denied: &[Denied]) -> ReadOnly {
    let free = |path: &AbsPath| denied.iter().all(|p| relation(path, &p.path).is_none());
    taken.rules.retain(|rule| free(&rule.path));
    taken.sockets.retain(|grant| free(&grant.path));
    taken
}

/// Whether a conflicting grant is left out with a note instead of refused: nobody wrote down that
/// exact path, so nobody can be asked to correct it.
fn lenient(origin: Origin, built_in: bool) -> bool {
    match origin {
        Origin::Workspace => false,
        Origin::Environment => true,
        Origin::Written => built_in,
    }
}

fn settle(
    candidate: Candidate<FsRule>,
    denied: &Denied,
    relation: Relation,
    all: &[Denied],
    notes: &mut Vec<Note>,
) -> Result<Vec<FsRule>, ProfileError> {
    let Candidate { rule, origin, built_in, .. } = candidate;
    let readable_only = !rule.access.contains(Access::WRITE);
    let inside = || all.iter().filter(|p| p.path.is_within(&rule.path));
    // A workspace or a folder the environment names that contains, say, the home's keys is the
    // wrong folder; only what was closed as a part of the workspace is meant to be worked around.
    let meant = match origin {
        Origin::Written => true,
        Origin::Workspace => inside().all(|p| p.origin == Origin::Workspace),
        Origin::Environment => false,
    };
    if relation == Relation::Contains && meant && readable_only {
        let closed: Vec<&AbsPath> = inside().map(|p| &p.path).collect();
        if let Some(narrowed) = narrow(&rule, &closed) {
            let message = format!(
                "{} contains {}, which stays closed; the grant covers what else is there now",
                rule.path, denied.path
            );
            let source = rule.source.clone();
            notes.push(Note { kind: NoteKind::Narrowed, source, message, built_in });
            return Ok(narrowed);
        }
    }
    let opening = opening(&rule.source, &rule.path, relation, denied);
    if lenient(origin, built_in) {
        notes.push(left_out(opening, built_in));
        return Ok(Vec::new());
    }
    let advice = match relation {
        _ if origin == Origin::Workspace && denied.origin != Origin::Workspace => {
            "choose a project folder that does not"
        }
        Relation::Contains if readable_only => "grant the folders beside it one by one",
        Relation::Contains => {
            "the kernel cannot close a part of a tree in which new files can be made, so grant \
             what is beside it, or give no right to write"
        }
        Relation::Is | Relation::IsBelow => "take the grant out",
    };
    Err(refused(opening, origin, advice))
}

/// Grants for everything in the tree of `rule` except `closed`: the folders on the way to a closed
/// path are replaced by what is in them. `None` if that takes too many rules or cannot be listed.
fn narrow(rule: &FsRule, closed: &[&AbsPath]) -> Option<Vec<FsRule>> {
    let mut rules = Vec::new();
    let mut folders = vec![rule.path.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()? {
            let entry = entry.ok()?;
            let kind = entry.file_type().ok()?;
            let path = AbsPath::new(entry.path()).ok()?;
            if closed.contains(&&path) || kind.is_symlink() {
                continue;
            }
            if closed.iter().any(|c| c.is_below(&path)) {
                folders.push(path);
                continue;
            }
            let scope = if kind.is_dir() { Scope::Tree } else { Scope::File };
            rules.push(FsRule { path, scope, ..rule.clone() });
            if rules.len() > MAX_NARROWED {
                return None;
            }
        }
    }
    Some(rules)
}

fn file_relation(rule: &FsRule, denied: &AbsPath) -> Option<Relation> {
    relation(&rule.path, denied)
        .filter(|found| rule.scope == Scope::Tree || *found != Relation::Contains)
}

fn relation(granted: &AbsPath, denied: &AbsPath) -> Option<Relation> {
    // Bytes first: nearly all pairs differ, and comparing components takes longer.
    let (g, p) = (granted.as_bytes(), denied.as_bytes());
    if !g.starts_with(p) && !p.starts_with(g) {
        return None;
    }
    if granted == denied {
        Some(Relation::Is)
    } else if denied.is_within(granted) {
        Some(Relation::Contains)
    } else if granted.is_within(denied) {
        Some(Relation::IsBelow)
    } else {
        None
    }
}

fn opening(grant: &Source, path: &AbsPath, relation: Relation, denied: &Denied) -> Box<Opening> {
    Box::new(Opening {
        grant: grant.clone(),
        path: path.clone(),
        relation,
        denied: denied.path.clone(),
        denied_by: denied.source.clone(),
    })
}

fn left_out(opening: Box<Opening>, built_in: bool) -> Note {
    let message = format!("left out: {opening}");
    Note { kind: NoteKind::WouldOpenDenied, source: opening.grant, message, built_in }
}

fn refused(opening: Box<Opening>, origin: Origin, advice: &'static str) -> ProfileError {
    match origin {
        Origin::Workspace => ProfileError::WorkspaceOpensDenied { opening, advice },
        Origin::Written | Origin::Environment => ProfileError::GrantOpensDenied { opening, advice },
    }
}
