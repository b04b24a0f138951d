//! The project file: `.nono/profile.json` in the first workspace.
//!
//! Whoever works in the workspace can change it, commands included. So it can take away and never
//! give: what narrows is laid over the operator's profile, what would widen is ignored with a note.

use crate::builtin;
use crate::context::{Context, ProjectFile};
use crate::error::ProfileError;
use crate::extends::{Library, Loaded};
use crate::layer::{Layer, Listed, Removal, Single, Sourced};
use crate::load::{Document, Links};
use crate::note::{Note, NoteKind};
use crate::part::Part;
use crate::reference::ProfileRef;
use nono_sandbox::policy::{Access, Isolation, Limit, Mediation, NetworkMode, Source};
use std::io;
use std::path::Path;

/// Where it lies below a workspace.
pub(crate) const NAME: &str = ".nono/profile.json";

/// A project file, read.
#[derive(Debug)]
pub(crate) struct Project {
    own: Layer,
    /// Profiles to stay within, whole.
    pub(crate) within: Vec<Loaded>,
}

/// Reads the project file of the first workspace; `None` if there is none.
pub(crate) fn load(library: &Library, context: &Context) -> Result<Option<Project>, ProfileError> {
    let Some(workspace) = context.workspaces.first() else { return Ok(None) };
    if context.project_file == ProjectFile::Ignore {
        return Ok(None);
    }
    let path = workspace.as_path().join(NAME);
    match Document::read(&path, Links::Refused) {
        Err(ProfileError::Read { source, .. }) if is_missing(&source) => Ok(None),
        Err(error) => Err(error),
        Ok(document) => of(library, &document, &path).map(Some),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn of(library: &Library, document: &Document, path: &Path) -> Result<Project, ProfileError> {
    let part = Part::of(document)?;
    let mut within = Vec::new();
    for (reference, source) in part.bases {
        let ProfileRef::Name(_) = reference else {
            let message = format!(
                "{} can only extend profiles by name, which are the operator's or built in",
                path.display()
            );
            return Err(ProfileError::entry(&source, message));
        };
        within.push(
            library
                .load(&reference)
                .map_err(|error| ProfileError::entry(&source, error.to_string()))?,
        );
    }
    Ok(Project { own: part.layer, within })
}

impl Project {
    /// The grants it asks for; a note is due for those that are not there anyway.
    pub(crate) fn requests(&self) -> Layer {
        Layer {
            grants: self.own.grants.clone(),
            sockets: self.own.sockets.clone(),
            ..Layer::default()
        }
    }

    /// Secrets that commands are to do without. Their files stay closed all the same, so these are
    /// not taken out of the layer.
    pub(crate) fn credentials_left_out(&self) -> impl Iterator<Item = &str> {
        self.own.credentials.removed.iter().map(|removal| removal.name.as_str())
    }

    /// The most it wants to do in the workspace.
    pub(crate) fn workspace_limit(&self) -> Option<Access> {
        self.own.single.workdir.as_ref().map(|workdir| workdir.value)
    }

    /// Lays what narrows over the operator's complete layer.
    pub(crate) fn narrow(
        &self,
        operator: Layer,
        notes: &mut Vec<Note>,
    ) -> Result<Layer, ProfileError> {
        let own = self.own.clone();
        let mut narrowing =
            Layer { single: single(&own.single, &operator.single, notes), ..Layer::default() };
        narrowing.denies.added = own.denies.added;
        narrowing.protects.added = own.protects.added;
        narrowing.denied_hosts.added = own.denied_hosts.added;
        narrowing.hosts.removed = own.hosts.removed;
        narrowing.deny_vars.added = own.deny_vars.added;
        narrowing.grants.removed = own.grants.removed;
        narrowing.sockets.removed = own.sockets.removed;
        narrowing.allow_vars.removed = own.allow_vars.removed;
        for removal in &own.groups.removed {
            without_group(removal, &mut narrowing)?;
        }
        let mut ignore = |source: &Source, why: &str| notes.push(widening(source, why));
        for entry in unless_there(&own.allow_vars.added, &operator.allow_vars.added) {
            ignore(&entry.source, "only the operator's profile can let a variable through");
        }
        for entry in unless_there(&own.groups.added, &operator.groups.added) {
            ignore(&entry.source, "only the operator's profile can include a group");
        }
        for entry in unless_there(&own.set_vars.added, &operator.set_vars.added) {
            ignore(&entry.source, "only the operator's profile can set a variable");
        }
        for entry in &own.credentials.added {
            ignore(&entry.source, "only the operator's profile can name a secret");
        }
        for entry in unless_there(&own.hosts.added, &operator.hosts.added) {
            ignore(&entry.source, "only the operator's profile can allow a host");
        }
        for (wanted, hidden) in [
            (&own.suppress_unix_sockets, &operator.suppress_unix_sockets),
            (&own.suppress_paths, &operator.suppress_paths),
        ] {
            for entry in unless_there(&wanted.added, &hidden.added) {
                ignore(
                    &entry.source,
                    "only the operator's profile can leave denials out of reports",
                );
            }
        }
        let closing = sources(&own.denies.removed)
            .chain(sources(&own.protects.removed))
            .chain(sources(&own.denied_hosts.removed))
            .chain(sources(&own.deny_vars.removed))
            .chain(sources(&own.set_vars.removed))
            .chain(sources(&own.suppress_unix_sockets.removed))
            .chain(sources(&own.suppress_paths.removed));
        for source in closing {
            ignore(source, "only the operator's profile can take this out");
        }
        let narrowed = narrowing.over(Layer { ..operator });
        Ok(narrowed)
    }
}

fn sources<N>(removals: &[Removal<N>]) -> impl Iterator<Item = &Source> {
    removals.iter().map(|removal| &removal.source)
}

fn unless_there<'l, T: Listed>(
    wanted: &'l [Sourced<T>],
    there: &'l [Sourced<T>],
) -> impl Iterator<Item = &'l Sourced<T>> {
    wanted.iter().filter(|entry| !there.iter().any(|known| known.value == entry.value))
}

/// A group that is left out loses its grants; what it closes stays closed.
fn without_group(removal: &Removal<String>, narrowing: &mut Layer) -> Result<(), ProfileError> {
    let Some(group) = builtin::group(&removal.name) else {
        let message = format!("unknown group `{}`", removal.name);
        return Err(ProfileError::entry(&removal.source, message));
    };
    let layer = &group.part()?.layer;
    let source = || removal.source.clone();
    narrowing.grants.removed.extend(layer.grants.added.iter().map(|entry| Removal {
        name: (entry.value.list, entry.value.template.clone()),
        source: source(),
        used: true,
    }));
    narrowing.sockets.removed.extend(layer.sockets.added.iter().map(|entry| Removal {
        name: (entry.value.reach, entry.value.bind, entry.value.template.clone()),
        source: source(),
        used: true,
    }));
    narrowing.hosts.removed.extend(layer.hosts.added.iter().map(|entry| Removal {
        name: entry.value.rule.clone(),
        source: source(),
        used: true,
    }));
    narrowing.allow_vars.removed.extend(layer.allow_vars.added.iter().map(|entry| Removal {
        name: entry.value.glob().to_owned(),
        source: source(),
        used: true,
    }));
    Ok(())
}

/// The single values that narrow.
fn single(own: &Single, operator: &Single, notes: &mut Vec<Note>) -> Single {
    let mut ignore = |source: &Source, why: &str| notes.push(widening(source, why));
    let mut narrowed = Single { workdir: workdir(own, operator, &mut ignore), ..Single::default() };
    narrowed.read_only = set(&own.read_only, &operator.read_only, |source| {
        ignore(source, "the operator's profile is read-only");
    });
    narrowed.private_tmp = set(&own.private_tmp, &operator.private_tmp, |source| {
        ignore(source, "the operator's profile has a /tmp of the runs' own");
    });
    narrowed.hide_denied = set(&own.hide_denied, &operator.hide_denied, |source| {
        ignore(source, "the operator's profile hides what it closes");
    });
    narrowed.network = network(own, operator, &mut ignore);
    let ports = own.listen.iter().chain(&own.expose);
    for source in ports.map(|ports| &ports.source) {
        ignore(source, "only the operator's profile lists ports");
    }
    narrowed.mediation = mediation(own, operator, &mut ignore);
    narrowed.datagrams = datagrams(own, operator, &mut ignore);
    narrowed.isolation = further(&own.isolation, &operator.isolation, Isolation::Auto, |source| {
        ignore(source, "the operator's profile isolates runs further");
    });
    narrowed.isolate = further(&own.isolate, &operator.isolate, Isolation::Off, |source| {
        ignore(source, "the operator's profile isolates the network further");
    });
    // The lower of both counts, so there is nothing to widen.
    let lower = |(limit, most): &(&Limit, &Sourced<u64>)| {
        operator.limits.get(*limit).is_none_or(|known| most.value < known.value)
    };
    let lowered = own.limits.iter().filter(lower);
    narrowed.limits = lowered.map(|(limit, most)| (*limit, most.clone())).collect();
    let reports =
        "only the operator's profile decides what is reported and how fast calls may come";
    let per_second = own.per_second.iter().chain(&own.burst).map(|rate| &rate.source);
    for source in own.observe.iter().map(|observe| &observe.source).chain(per_second) {
        ignore(source, reports);
    }
    narrowed
}

/// The part of the asked-for access that the operator gives as well.
fn workdir(
    own: &Single,
    operator: &Single,
    ignore: &mut impl FnMut(&Source, &str),
) -> Option<Sourced<Access>> {
    let wanted = own.workdir.as_ref()?;
    let allowed = operator.workdir.as_ref().map_or(Access::empty(), |w| w.value);
    if !allowed.contains(wanted.value) {
        ignore(&wanted.source, "the operator's profile gives the workspace less");
    }
    Some(Sourced { value: wanted.value & allowed, ..wanted.clone() })
}

fn network(
    own: &Single,
    operator: &Single,
    ignore: &mut impl FnMut(&Source, &str),
) -> Option<Sourced<NetworkMode>> {
    let wanted = own.network.as_ref()?;
    let has = operator.mode();
    if wanted.value > has {
        ignore(&wanted.source, "the operator's profile has less network");
    }
    (wanted.value < has).then(|| wanted.clone())
}

fn mediation(
    own: &Single,
    operator: &Single,
    ignore: &mut impl FnMut(&Source, &str),
) -> Option<Sourced<Mediation>> {
    let wanted = own.mediation.as_ref()?;
    let has = operator.mediation.as_ref().map_or(Mediation::Pathname, |m| m.value);
    let narrows = wanted.value == Mediation::Pathname;
    if !narrows && has == Mediation::Pathname {
        ignore(&wanted.source, "the operator's profile mediates sockets");
    }
    narrows.then(|| wanted.clone())
}

fn datagrams(
    own: &Single,
    operator: &Single,
    ignore: &mut impl FnMut(&Source, &str),
) -> Option<Sourced<bool>> {
    let wanted = own.datagrams.as_ref()?;
    if wanted.value && !operator.datagrams.as_ref().is_some_and(|on| on.value) {
        ignore(&wanted.source, "the operator's profile has no datagram sockets");
    }
    (!wanted.value).then(|| wanted.clone())
}

/// A switch that narrows, if a project file sets it.
fn set(
    own: &Option<Sourced<bool>>,
    operator: &Option<Sourced<bool>>,
    ignore: impl FnOnce(&Source),
) -> Option<Sourced<bool>> {
    let wanted = own.as_ref()?;
    if !wanted.value && operator.as_ref().is_some_and(|on| on.value) {
        ignore(&wanted.source);
    }
    wanted.value.then(|| wanted.clone())
}

/// What a project file asks for, if that isolates further than the operator does.
fn further(
    own: &Option<Sourced<Isolation>>,
    operator: &Option<Sourced<Isolation>>,
    usual: Isolation,
    ignore: impl FnOnce(&Source),
) -> Option<Sourced<Isolation>> {
    let has = operator.as_ref().map_or(usual, |isolation| isolation.value);
    let wanted = own.as_ref()?;
    if wanted.value < has {
        ignore(&wanted.source);
    }
    (wanted.value > has).then(|| wanted.clone())
}

pub(crate) fn widening(source: &Source, why: &str) -> Note {
    Note {
        kind: NoteKind::Widening,
        source: source.clone(),
        message: format!("ignored: {why}; a project file can only narrow"),
        built_in: false,
    }
}
