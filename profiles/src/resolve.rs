//! A profile and a context, worked out to a policy.

use crate::collect::Collected;
use crate::context::{Context, MissingFolders, OwnFiles};
use crate::credentials::Credential;
use crate::error::ProfileError;
use crate::extends::{Library, Loaded};
use crate::layer::{HostEntry, Layer, List, Single, Sourced};
use crate::limits::Limits;
use crate::note::{Note, NoteKind};
use crate::place::Places;
use crate::reference::ProfileRef;
use crate::{
    conflict, credentials, deny, environment, grants, limits, links, narrow, obeyed, project,
    protect,
};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{
    Access, Environment, FsPolicy, FsRule, HostGrant, Isolation, Lookup, Mediation, NetworkMode,
    NetworkPolicy, Observe, Policy, PortRange, Source, Tmp, UnixGrant, UnixPolicy,
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
    /// The same for files and folders.
    pub suppress_paths: GlobSet,
    /// Secrets of the operator, by the variables that commands see them in; those of
    /// `policy.environment.credentials`.
    pub credentials: Vec<Credential>,
    /// Grants outside of workspaces for files and folders that were not there: what would hold if
    /// they had been.
    pub absent: Vec<FsRule>,
    /// The policy without the project file, if there is one: what that narrows, no grant opens.
    pub operators: Option<Policy>,
    /// What was left out, narrowed or made.
    pub notes: Vec<Note>,
}

/// Resolves `profile` in `context`.
///
/// Looks at the files the profile and what it extends are made of, at the project file of the
/// first workspace and at each path they name, and lists single folders for globs; never walks a
/// tree. Makes the missing folders whose entries say
/// `create`, unless the context says otherwise.
///
/// # Errors
/// [`ProfileError`] if a profile cannot be read or understood, if a workspace or the temporary
/// folder cannot be used, or if a grant would open what must stay closed. Paths that do not exist
/// are no error.
pub fn resolve(profile: &ProfileRef, context: &Context) -> Result<Resolved, ProfileError> {
    let library = Library::of(context);
    let mut loaded = library.load(profile)?;
    if let Some(mode) = context.network {
        loaded.layer.single.network = Some(chosen(mode));
    }
    let mut places = Places::default();
    let context = canonical(context, &mut places)?;
    let Some(project) = project::load(&library, &context)? else {
        return compile(loaded, &context, places, Limits::default());
    };
    // Nothing is made because of a project file, nor to know what it narrows.
    let looking = Context { missing_folders: MissingFolders::Leave, ..context.clone() };
    let operators = compile(loaded.clone(), &looking, Places::default(), Limits::default()).ok();
    loaded.layer = project.narrow(loaded.layer, &mut loaded.notes)?;
    loaded.notes.extend(loaded.layer.unused_removals());
    let limits = Limits { workspace: project.workspace_limit() };
    let mut resolved = compile(loaded, &context, places, limits)?;
    resolved.operators = operators.map(|operators| operators.policy);
    let requests = project.requests();
    for name in project.credentials_left_out() {
        resolved.policy.environment.credentials.remove(name);
    }
    for within in project.within {
        let other = compile(within, &looking, Places::default(), Limits::default())?;
        resolved.policy = narrow::intersection(&resolved.policy, &other.policy);
        // Whether they would be granted by both nobody can say of what is not there.
        resolved.absent.clear();
    }
    let named = &resolved.policy.environment.credentials;
    resolved.credentials.retain(|credential| named.contains_key(&credential.name));
    note_what_is_not_there(&requests, &looking, &mut resolved)?;
    Ok(resolved)
}

/// A mode the operator asked for beside the profile.
fn chosen(mode: NetworkMode) -> Sourced<NetworkMode> {
    let rule = format!("--network {mode}");
    let source = Source { profile: Source::COMMAND_LINE.to_owned(), rule, line: None };
    Sourced { value: mode, source, built_in: false }
}

fn network(single: &Single, allow: List<HostEntry>, deny: List<HostEntry>) -> NetworkPolicy {
    let ports = |field: &Option<Sourced<Vec<PortRange>>>| field.as_ref().map(|p| p.value.clone());
    NetworkPolicy {
        mode: single.mode(),
        allow: hosts(allow),
        deny: hosts(deny),
        listen: ports(&single.listen),
        expose: ports(&single.expose).unwrap_or_default(),
        own: Vec::new(),
        proxy: None,
        isolate: single.isolate.as_ref().map_or(Isolation::Off, |i| i.value),
    }
}

fn rate(single: &Single) -> Quota {
    Quota {
        per_second: single.per_second.as_ref().map_or(PER_SECOND, |n| n.value),
        burst: single.burst.as_ref().map_or(BURST, |n| n.value),
    }
}

fn hosts(list: List<HostEntry>) -> Vec<HostGrant> {
    let grant =
        |entry: Sourced<HostEntry>| HostGrant { rule: entry.value.rule, source: entry.source };
    list.added.into_iter().map(grant).collect()
}

/// Leaves secrets to the server, which adds their values.
fn without_values(environment: &mut Environment, credentials: &[Credential]) {
    for credential in credentials {
        environment.variables.remove(&credential.name);
        environment.credentials.insert(credential.name.clone(), credential.source.clone());
    }
}

/// Works a complete layer out to a policy.
fn compile(
    loaded: Loaded,
    context: &Context,
    mut places: Places,
    limits: Limits,
) -> Result<Resolved, ProfileError> {
    let Loaded { name, layer, mut notes, files } = loaded;
    let layer = layer.on(&context.machine, &mut notes);
    let mut grants = grants::resolve(&layer, context, &mut places, &mut notes)?;
    links::leave_out(&mut grants, context, &mut notes);
    let taken = limits::apply(&mut grants, &layer, limits, context, &mut notes);
    let credentials = credentials::resolve(&layer, context, &mut notes)?;
    let mut denied = deny::denied(&layer, context, &mut places, &mut notes)?;
    denied.extend(deny::credential_files(&credentials, &mut places)?);
    conflict::own_program(&grants.files, context, &mut notes)?;
    let protection = protect::protected(&layer, &grants.files, context, &mut places)?;
    let absent = outside(grants.absent, context, &denied);
    let read_only = taken.map(|taken| conflict::around(taken, &denied));
    let rules = conflict::files(grants.files, &denied, &mut notes)?;
    let rules = narrow::without_repetitions(rules);
    let sockets = conflict::sockets(grants.sockets, &denied, &mut notes)?;
    let mut environment = environment::resolve(&layer, context, &mut notes)?;
    without_values(&mut environment, &credentials);
    let suppress_unix_sockets = suppressed(&layer.suppress_unix_sockets, &mut notes);
    let suppress_paths = suppressed(&layer.suppress_paths, &mut notes);
    let single = layer.single;
    let (limits, origins) = (single.limits(), single.origins());
    let (hiding, rate) = (single.hiding(), rate(&single));
    let network = network(&single, layer.hosts, layer.denied_hosts);
    let tmp = single.private_tmp.filter(|on| on.value);
    let protected = protection.protected.into_iter();
    let written = protected.filter(|protected| protect::may_be_written(&rules, protected));
    let mut protected: Collected = written.collect();
    obeyed::add(&files, &rules, context, &mut places, &mut notes, &mut protected)?;
    let policy = Policy {
        name,
        fs: FsPolicy {
            rules,
            denied: denied.into_iter().map(deny::Denied::settled).collect(),
            read_only,
            protected: protected.finish(),
            protected_patterns: protection.patterns,
            protected_roots: protection.roots,
            workspaces: context.workspaces.clone(),
            tmpdir: context.tmpdir.clone(),
            tmp: tmp.map_or(Tmp::Machine, |on| Tmp::Wanted(on.source)),
            hiding,
            own_terminals: false,
        },
        unix: UnixPolicy {
            mediation: single.mediation.map_or(Mediation::Pathname, |m| m.value),
            grants: sockets,
            datagrams: single.datagrams.is_some_and(|on| on.value),
        },
        network,
        environment,
        rate,
        observe: single.observe.map_or(Observe::Writes, |o| o.value),
        limits,
        isolation: single.isolation.map_or(Isolation::Auto, |i| i.value),
        origins,
    };
    let credentials = credentials::guarded(credentials, &policy.fs, context, &mut places)?;
    Ok(Resolved {
        policy,
        suppress_unix_sockets,
        suppress_paths,
        credentials,
        absent,
        operators: None,
        notes,
    })
}

/// Of what is not there, what would lie in no workspace and in nothing closed.
fn outside(mut absent: Vec<FsRule>, context: &Context, denied: &[deny::Denied]) -> Vec<FsRule> {
    absent.retain(|rule| {
        let mine = |folder: &AbsPath| rule.path.is_within(folder);
        !context.workspaces.iter().any(mine) && !denied.iter().any(|p| mine(&p.path))
    });
    absent
}

/// Notes the grants a project file asks for and does not get.
fn note_what_is_not_there(
    requests: &Layer,
    context: &Context,
    resolved: &mut Resolved,
) -> Result<(), ProfileError> {
    let grants = grants::resolve(requests, context, &mut Places::default(), &mut Vec::new())?;
    let policy = &resolved.policy;
    let why = "the operator's profile does not grant this";
    let files = grants.files.iter().map(|c| &c.rule).filter(|rule| {
        // The right to make sockets comes with the socket grants, which are judged below.
        rule.access != Access::MAKE_SOCKET
            && policy.fs.lookup(&rule.path, rule.access) != Lookup::Allowed
    });
    let sockets = grants.sockets.iter().map(|c| &c.rule).filter(|wanted| {
        let there = |grant: &UnixGrant| {
            grant.covers(&wanted.path) && (grant.bind || !wanted.bind) || grant == *wanted
        };
        policy.unix.mediation == Mediation::Pathname && !policy.unix.grants.iter().any(there)
    });
    let sources = files.map(|rule| &rule.source).chain(sockets.map(|grant| &grant.source));
    let notes: Vec<Note> = sources.map(|source| project::widening(source, why)).collect();
    resolved.notes.extend(notes);
    Ok(())
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
    let mut others = Vec::new();
    for other in &context.own.workspaces {
        others.push(folder("workspace", other)?);
    }
    for path in &context.workspaces {
        links::check_workspace(path, workspaces.iter().chain(&others))?;
    }
    let tmpdir = folder("temporary folder", &context.tmpdir)?;
    let own = OwnFiles { workspaces: others, ..context.own.clone() };
    Ok(Context { workspaces, tmpdir, own, ..context.clone() })
}

/// The valid globs of a list of what reports leave out. `*` stays within a name, so a glob hides
/// what it spells out and nothing deeper.
fn suppressed(globs: &List<String>, notes: &mut Vec<Note>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for entry in &globs.added {
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
