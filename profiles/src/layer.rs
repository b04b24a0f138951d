//! One profile file with its texts read, and how files are laid over each other.

use crate::error::ProfileError;
use crate::load::Document;
use crate::template::{PathTemplate, ValueTemplate};
use globset::Glob;
use nono_sandbox::policy::{Access, Limits, Mediation, Network, Observe, Reach, Source};
use nono_schemas::profile_file as wire;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// A value and the line it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
    /// Whether the line belongs to a built-in profile.
    pub(crate) built_in: bool,
}

/// What kind of object a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A folder and all below it; a file is taken too.
    Folder,
    /// A single file.
    File,
}

/// A grant for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) template: PathTemplate,
    pub(crate) access: Access,
    pub(crate) wanted: Wanted,
    pub(crate) create: bool,
}

/// A grant for sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketGrant {
    pub(crate) template: PathTemplate,
    pub(crate) reach: Reach,
    pub(crate) bind: bool,
    pub(crate) create: bool,
}

/// A variable to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetVar {
    pub(crate) value: ValueTemplate,
    pub(crate) when_unset: bool,
}

/// One profile file, or several laid over each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    pub(crate) grants: Vec<Sourced<Grant>>,
    pub(crate) denies: Vec<Sourced<PathTemplate>>,
    pub(crate) sockets: Vec<Sourced<SocketGrant>>,
    pub(crate) allow_vars: Vec<Sourced<Glob>>,
    pub(crate) deny_vars: Vec<Sourced<Glob>>,
    pub(crate) set_vars: BTreeMap<String, Sourced<SetVar>>,
    pub(crate) suppress_unix_sockets: Vec<Sourced<String>>,
    pub(crate) workdir: Option<Sourced<Access>>,
    pub(crate) network: Option<Network>,
    pub(crate) mediation: Option<Mediation>,
    pub(crate) datagrams: Option<bool>,
    pub(crate) observe: Option<Observe>,
    pub(crate) per_second: Option<NonZeroU32>,
    pub(crate) burst: Option<NonZeroU32>,
    pub(crate) limits: Limits,
}

impl Layer {
    /// Lays `self` over `base`: lists are appended without repetitions, single values replace.
    pub(crate) fn over(self, base: Layer) -> Layer {
        let mut set_vars = base.set_vars;
        set_vars.extend(self.set_vars);
        Layer {
            grants: append(base.grants, self.grants),
            denies: append(base.denies, self.denies),
            sockets: append(base.sockets, self.sockets),
            allow_vars: append(base.allow_vars, self.allow_vars),
            deny_vars: append(base.deny_vars, self.deny_vars),
            set_vars,
            suppress_unix_sockets: append(base.suppress_unix_sockets, self.suppress_unix_sockets),
            workdir: self.workdir.or(base.workdir),
            network: self.network.or(base.network),
            mediation: self.mediation.or(base.mediation),
            datagrams: self.datagrams.or(base.datagrams),
            observe: self.observe.or(base.observe),
            per_second: self.per_second.or(base.per_second),
            burst: self.burst.or(base.burst),
            limits: limits_over(self.limits, base.limits),
        }
    }

    /// Reads the texts of a file.
    pub(crate) fn of(document: &Document) -> Result<Layer, ProfileError> {
        let file = &document.file;
        let deny = ("filesystem.deny", file.filesystem.deny.as_slice());
        Ok(Layer {
            grants: grants(document)?,
            denies: entries(document, deny, Takes::PathOnly, |_, template| template)?,
            sockets: sockets(document)?,
            allow_vars: globs(document, "environment.allow_vars", &file.environment.allow_vars)?,
            deny_vars: globs(document, "environment.deny_vars", &file.environment.deny_vars)?,
            set_vars: set_vars(document)?,
            suppress_unix_sockets: suppressed(document),
            workdir: file.workdir.as_ref().map(|workdir| workspace_access(document, workdir)),
            network: file.network.mode.map(|wire::NetworkMode::Open| Network::Open),
            mediation: file.linux.af_unix_mediation.map(|mode| match mode {
                wire::AfUnixMediation::Pathname => Mediation::Pathname,
                wire::AfUnixMediation::Off => Mediation::Off,
            }),
            datagrams: file.linux.af_unix_datagram,
            observe: file.diagnostics.filesystem.map(|mode| match mode {
                wire::FilesystemDiagnostics::Observe => Observe::All,
                wire::FilesystemDiagnostics::Writes => Observe::Writes,
                wire::FilesystemDiagnostics::Off => Observe::Off,
            }),
            per_second: file.rate.per_second,
            burst: file.rate.burst,
            limits: limits(&file.limits),
        })
    }
}

fn limits(file: &wire::Limits) -> Limits {
    Limits {
        cpu: file.cpu_ms.map(|ms| Duration::from_millis(ms.get())),
        memory_bytes: file.memory_bytes.map(NonZeroU64::get),
        tasks: file.processes.map(NonZeroU32::get),
        open_files: file.open_files.map(NonZeroU64::get),
        file_size_bytes: file.file_size_bytes.map(NonZeroU64::get),
        output_bytes: file.output_bytes.map(NonZeroU64::get),
        user_tasks: None,
    }
}

/// As every single value: what a file says replaces what its bases say.
fn limits_over(own: Limits, base: Limits) -> Limits {
    Limits {
        cpu: own.cpu.or(base.cpu),
        memory_bytes: own.memory_bytes.or(base.memory_bytes),
        tasks: own.tasks.or(base.tasks),
        open_files: own.open_files.or(base.open_files),
        file_size_bytes: own.file_size_bytes.or(base.file_size_bytes),
        output_bytes: own.output_bytes.or(base.output_bytes),
        user_tasks: None,
    }
}

fn append<T: PartialEq>(mut base: Vec<Sourced<T>>, more: Vec<Sourced<T>>) -> Vec<Sourced<T>> {
    for item in more {
        if !base.iter().any(|known| known.value == item.value) {
            base.push(item);
        }
    }
    base
}

/// What an entry may say beside its path and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    PathOnly,
    Create,
    Execute,
    CreateAndExecute,
}

/// An entry's remarks, taken apart.
#[derive(Debug, Clone, Copy)]
struct Remarks {
    create: bool,
    execute: bool,
}

/// Reads a list of paths.
fn entries<T: PartialEq>(
    document: &Document,
    (field, list): (&str, &[wire::Entry]),
    takes: Takes,
    make: impl Fn(Remarks, PathTemplate) -> T,
) -> Result<Vec<Sourced<T>>, ProfileError> {
    let read = |(index, entry): (usize, &wire::Entry)| {
        let source = document.entry(field, index, entry.path());
        let template = PathTemplate::parse(entry.path())
            .map_err(|message| ProfileError::entry(&source, message))?;
        let remarks =
            remarks(entry, takes).map_err(|message| ProfileError::entry(&source, message))?;
        let built_in = document.is_built_in();
        Ok(Sourced { value: make(remarks, template), source, built_in })
    };
    let items = list.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(append(Vec::new(), items))
}

fn remarks(entry: &wire::Entry, takes: Takes) -> Result<Remarks, &'static str> {
    let wire::Entry::Detailed(entry) = entry else {
        return Ok(Remarks { create: false, execute: true });
    };
    if entry.create && !matches!(takes, Takes::Create | Takes::CreateAndExecute) {
        return Err("`create` is for folders; take it out");
    }
    if entry.execute.is_some() && !matches!(takes, Takes::Execute | Takes::CreateAndExecute) {
        return Err("`execute` belongs to grants that read files; take it out");
    }
    Ok(Remarks { create: entry.create, execute: entry.execute.unwrap_or(true) })
}

fn grants(document: &Document) -> Result<Vec<Sourced<Grant>>, ProfileError> {
    use Takes::{Create, CreateAndExecute, Execute, PathOnly};
    use Wanted::{File, Folder};
    let fs = &document.file.filesystem;
    let read = Access::READ | Access::EXECUTE;
    let write = Access::WRITE;
    let fields = [
        ("filesystem.read", &fs.read, read, Folder, CreateAndExecute),
        ("filesystem.write", &fs.write, write, Folder, Create),
        ("filesystem.allow", &fs.allow, read | write, Folder, CreateAndExecute),
        ("filesystem.read_file", &fs.read_file, read, File, Execute),
        ("filesystem.write_file", &fs.write_file, write, File, PathOnly),
        ("filesystem.allow_file", &fs.allow_file, read | write, File, Execute),
    ];
    let mut grants = Vec::new();
    for (field, list, access, wanted, takes) in fields {
        grants.extend(entries(document, (field, list), takes, |remarks, template| Grant {
            template,
            access: if remarks.execute { access } else { access - Access::EXECUTE },
            wanted,
            create: remarks.create,
        })?);
    }
    Ok(grants)
}

fn sockets(document: &Document) -> Result<Vec<Sourced<SocketGrant>>, ProfileError> {
    let fs = &document.file.filesystem;
    let fields = [
        ("filesystem.unix_socket", &fs.unix_socket, Reach::Exact, false),
        ("filesystem.unix_socket_bind", &fs.unix_socket_bind, Reach::Exact, true),
        ("filesystem.unix_socket_dir", &fs.unix_socket_dir, Reach::Children, false),
        ("filesystem.unix_socket_dir_bind", &fs.unix_socket_dir_bind, Reach::Children, true),
        ("filesystem.unix_socket_subtree", &fs.unix_socket_subtree, Reach::Subtree, false),
        ("filesystem.unix_socket_subtree_bind", &fs.unix_socket_subtree_bind, Reach::Subtree, true),
    ];
    let mut sockets = Vec::new();
    for (field, list, reach, bind) in fields {
        let takes = if reach == Reach::Exact { Takes::PathOnly } else { Takes::Create };
        sockets.extend(entries(document, (field, list), takes, |remarks, template| SocketGrant {
            template,
            reach,
            bind,
            create: remarks.create,
        })?);
    }
    Ok(sockets)
}

fn workspace_access(document: &Document, workdir: &wire::Workdir) -> Sourced<Access> {
    let read = Access::READ | Access::EXECUTE;
    let (name, value) = match workdir.access {
        wire::WorkdirAccess::None => ("none", Access::empty()),
        wire::WorkdirAccess::Read => ("read", read),
        wire::WorkdirAccess::Write => ("write", Access::WRITE),
        wire::WorkdirAccess::ReadWrite => ("readwrite", read | Access::WRITE),
    };
    let source = document.field("workdir.access", name);
    Sourced { value, source, built_in: document.is_built_in() }
}

/// Globs over variable names. A bad one is an error: a deny that means nothing must not pass
/// unnoticed.
fn globs(
    document: &Document,
    field: &str,
    list: &[String],
) -> Result<Vec<Sourced<Glob>>, ProfileError> {
    let read = |(index, text): (usize, &String)| {
        let source = document.entry(field, index, text);
        let value = Glob::new(text)
            .map_err(|e| ProfileError::entry(&source, format!("not a glob: {}", e.kind())))?;
        Ok(Sourced { value, source, built_in: document.is_built_in() })
    };
    list.iter().enumerate().map(read).collect()
}

fn suppressed(document: &Document) -> Vec<Sourced<String>> {
    let list = document.file.diagnostics.suppress_unix_sockets.iter().enumerate();
    list.map(|(index, text)| Sourced {
        value: text.clone(),
        source: document.entry("diagnostics.suppress_unix_sockets", index, text),
        built_in: document.is_built_in(),
    })
    .collect()
}

fn set_vars(document: &Document) -> Result<BTreeMap<String, Sourced<SetVar>>, ProfileError> {
    let mut set_vars = BTreeMap::new();
    for (name, variable) in &document.file.environment.set_vars {
        let (text, when_unset) = match variable {
            wire::SetVar::Value(value) => (value, false),
            wire::SetVar::Detailed(detailed) => (&detailed.value, detailed.when_unset),
        };
        let source = document.field(&format!("environment.set_vars.{name}"), text);
        let refuse = |message: &str| Err(ProfileError::entry(&source, message));
        if name.is_empty() || name.contains(['=', '\0']) {
            return refuse("a variable's name cannot be empty or contain `=` or a NUL byte");
        }
        if name.starts_with("NONO_") && !document.is_built_in() {
            return refuse("names that start with `NONO_` belong to the sandbox");
        }
        let value =
            ValueTemplate::parse(text).map_err(|message| ProfileError::entry(&source, message))?;
        let built_in = document.is_built_in();
        let value = SetVar { value, when_unset };
        set_vars.insert(name.clone(), Sourced { value, source, built_in });
    }
    Ok(set_vars)
}
