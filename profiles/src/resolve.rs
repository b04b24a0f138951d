//! A profile and a context, worked out to a policy.

use crate::context::Context;
use crate::error::ProfileError;
use crate::layer::Layer;
use crate::note::{Note, NoteKind};
use crate::place::Places;
use crate::reference::ProfileRef;
use crate::{environment, extends, grants, protect};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{
    FsPolicy, FsRule, Mediation, Network, Observe, Policy, Scope, UnixPolicy,
};
use nono_sandbox::rate::Quota;
use std::io;
use std::num::NonZeroU32;

/// Rate of a profile that names none, per second. Far above what programs do; meant for those that
/// connect in an endless loop.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(20_000).unwrap();
/// Burst of a profile that names none.
const BURST: NonZeroU32 = NonZeroU32::new(5_000).unwrap();

/// A profile, resolved.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What commands may do.
    pub policy: Policy,
    /// Socket paths whose denials are left out of reports, to be matched against the path as the
    /// program gave it. Invalid globs are not in it; they are among the notes.
    pub suppress_unix_sockets: GlobSet,
    /// What was left out, narrowed or made.
    pub notes: Vec<Note>,
}

/// Resolves `profile` in `context`.
///
/// Looks at the files the profile and what it extends are made of and at each path they name, and
/// lists single folders for globs; never walks a tree. Makes the missing folders whose entries say
/// `create`, unless the context says otherwise.
///
/// # Errors
/// [`ProfileError`] if a profile cannot be read or understood, if a workspace or the temporary
/// folder cannot be used, or if a grant would open what must stay closed. Paths that do not exist
/// are no error.
pub fn resolve(profile: &ProfileRef, context: &Context) -> Result<Resolved, ProfileError> {
    let (name, layer) = extends::load(profile)?;
    let mut places = Places::default();
    let context = canonical(context, &mut places)?;
    let mut notes = Vec::new();
    let grants = grants::resolve(&layer, &context, &mut places, &mut notes)?;
    let protected = protect::protected(&layer, &context, &mut places, &mut notes)?;
    let rules = protect::files(grants.files, &protected, &mut notes)?;
    let sockets = protect::sockets(grants.sockets, &protected, &mut notes)?;
    let environment = environment::resolve(&layer, &context, &mut notes)?;
    let suppress_unix_sockets = suppressed(&layer, &mut notes);
    let policy = Policy {
        name,
        fs: FsPolicy {
            rules: without_repetitions(rules),
            protected: protected.into_iter().map(|p| p.path).collect(),
            workspaces: context.workspaces,
            tmpdir: context.tmpdir,
        },
        unix: UnixPolicy {
            mediation: layer.mediation.unwrap_or(Mediation::Pathname),
            grants: sockets,
            datagrams: layer.datagrams.unwrap_or(false),
        },
        network: layer.network.unwrap_or(Network::Open),
        environment,
        rate: Quota {
            per_second: layer.per_second.unwrap_or(PER_SECOND),
            burst: layer.burst.unwrap_or(BURST),
        },
        observe: layer.observe.unwrap_or(Observe::All),
        limits: layer.limits,
    };
    Ok(Resolved { policy, suppress_unix_sockets, notes })
}

/// The context with its own folders canonical and known to be folders.
fn canonical(context: &Context, places: &mut Places) -> Result<Context, ProfileError> {
    let mut folder = |what, path: &AbsPath| {
        let found = places.existing(path.as_path()).and_then(|found| {
            let not_a_folder = || io::ErrorKind::NotADirectory.into();
            found.is_folder.then_some(found.path).ok_or_else(not_a_folder)
        });
        found.map_err(|source| ProfileError::Folder { what, path: path.clone(), source })
    };
    let mut workspaces: Vec<AbsPath> = Vec::new();
    for workspace in &context.workspaces {
        let workspace = folder("workspace", workspace)?;
        if !workspaces.contains(&workspace) {
            workspaces.push(workspace);
        }
    }
    if workspaces.is_empty() {
        return Err(ProfileError::NoWorkspace);
    }
    let tmpdir = folder("temporary folder", &context.tmpdir)?;
    Ok(Context { workspaces, tmpdir, ..context.clone() })
}

/// Leaves out rules that another rule covers with at least the same access: `/bin` beside `/usr`
/// where one leads into the other, folders of the path inside granted trees.
fn without_repetitions(rules: Vec<FsRule>) -> Vec<FsRule> {
    let covers = |other: &FsRule, rule: &FsRule| {
        // Bytes first: nearly all pairs differ, and comparing components takes longer.
        rule.path.as_bytes().starts_with(other.path.as_bytes())
            && other.access.contains(rule.access)
            && other.covers(&rule.path)
            && (other.scope == Scope::Tree || rule.scope == Scope::File)
    };
    let kept = |(at, rule): (usize, &FsRule)| {
        let (before, from) = rules.split_at(at);
        // Of two rules that cover each other the first stays.
        let repeats = before.iter().any(|other| covers(other, rule))
            || from.iter().skip(1).any(|other| covers(other, rule) && !covers(rule, other));
        (!repeats).then(|| rule.clone())
    };
    rules.iter().enumerate().filter_map(kept).collect()
}

/// The valid globs among the suppressed sockets. `*` stays within a name, so a glob hides what it
/// spells out and nothing deeper.
fn suppressed(layer: &Layer, notes: &mut Vec<Note>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for entry in &layer.suppress_unix_sockets {
        match GlobBuilder::new(&entry.value).literal_separator(true).build() {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => notes.push(Note {
                kind: NoteKind::InvalidGlob,
                source: entry.source.clone(),
                message: format!("not a glob, hides nothing: {}", error.kind()),
                built_in: entry.built_in,
            }),
        }
    }
    builder.build().unwrap_or_else(|_| GlobSet::empty())
}
