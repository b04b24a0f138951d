//! Grants that lead over a symbolic link which commands can put elsewhere.
//!
//! A grant is for what its path leads to when the profile is resolved. A command that can replace a
//! folder on the way by a link of its own would choose what the next server grants.

use crate::context::Context;
use crate::error::ProfileError;
use crate::grants::{Candidate, Grants};
use crate::note::{Note, NoteKind};
use crate::place::link_of_commands;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Scope, Source, UnixGrant};
use std::io;

/// Leaves such grants out. Noted is what no other grant gives.
pub(crate) fn leave_out(grants: &mut Grants, context: &Context, notes: &mut Vec<Note>) {
    // Whatever this profile says of workspaces, under another one they may have been writable.
    let in_workspace =
        |at: &AbsPath| context.all_workspaces().any(|workspace| at.is_below(workspace));
    let mut files = without(&mut grants.files, in_workspace);
    let mut sockets = without(&mut grants.sockets, in_workspace);
    let writable: Vec<AbsPath> = grants.files.iter().filter_map(writable_tree).collect();
    let can_be_made = |at: &AbsPath| writable.iter().any(|tree| at.is_below(tree));
    files.extend(without(&mut grants.files, can_be_made));
    sockets.extend(without(&mut grants.sockets, can_be_made));

    let given = |rule: &FsRule| {
        let covers = |c: &&Candidate<FsRule>| c.rule.covers(&rule.path);
        let all =
            grants.files.iter().filter(covers).fold(Access::empty(), |all, c| all | c.rule.access);
        all.contains(rule.access)
    };
    let reached = |grant: &UnixGrant| {
        grants.sockets.iter().any(|c| c.rule.covers(&grant.path) && (c.rule.bind || !grant.bind))
    };
    let files = files.iter().filter(|c| !given(&c.rule));
    notes.extend(files.filter_map(|c| note(c, &c.rule.path, &c.rule.source)));
    let sockets = sockets.iter().filter(|c| !reached(&c.rule));
    notes.extend(sockets.filter_map(|c| note(c, &c.rule.path, &c.rule.source)));
}

/// Makes sure that no workspace is named by a link that lies in one.
pub(crate) fn check_workspace<'w>(
    path: &AbsPath,
    workspaces: impl Iterator<Item = &'w AbsPath> + Clone,
) -> Result<(), ProfileError> {
    let Some(link) = link_of_commands(path.as_path(), workspaces) else { return Ok(()) };
    let message = format!(
        "it leads over the link {link} in a workspace, and commands can put that link elsewhere; \
         name the folder it leads to"
    );
    let source = io::Error::new(io::ErrorKind::InvalidInput, message);
    Err(ProfileError::Folder { what: "workspace", path: path.clone(), source })
}

/// Takes out what was found over a link that lies at such a place.
fn without<R>(
    candidates: &mut Vec<Candidate<R>>,
    is_theirs: impl Fn(&AbsPath) -> bool,
) -> Vec<Candidate<R>> {
    candidates.extract_if(.., |candidate| candidate.links.iter().any(&is_theirs)).collect()
}

/// A tree in which commands can make links.
fn writable_tree(candidate: &Candidate<FsRule>) -> Option<AbsPath> {
    let FsRule { path, scope, access, .. } = &candidate.rule;
    (*scope == Scope::Tree && access.contains(Access::WRITE)).then(|| path.clone())
}

fn note<R>(candidate: &Candidate<R>, path: &AbsPath, source: &Source) -> Option<Note> {
    let link = candidate.links.last()?;
    let message = format!(
        "left out: it leads over the link {link} to {path}, and commands can put that link \
         elsewhere; if it is meant, grant where it leads"
    );
    let (source, built_in) = (source.clone(), candidate.built_in);
    Some(Note { kind: NoteKind::Led, source, message, built_in })
}
