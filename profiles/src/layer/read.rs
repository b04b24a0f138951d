//! From a checked file to a layer: texts become templates, globs and conditions.

use super::{
    CredentialEntry, Deny, FileList, From, Grant, Layer, List, Listed, Protect, Removal, SetVar,
    Single, SocketGrant, Sourced, network,
};
use crate::condition::Condition;
use crate::environment::loads_code;
use crate::error::ProfileError;
use crate::load::Document;
use crate::template::{PathTemplate, ValueTemplate};
use globset::Glob;
use nono_sandbox::policy::{Access, Isolation, Limit, Mediation, Observe, Reach};
use nono_schemas::profile_file as wire;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

pub(super) type Entries<T> = Result<Vec<Sourced<T>>, ProfileError>;

impl Layer {
    /// Reads the texts of a file.
    pub(crate) fn of(document: &Document) -> Result<Layer, ProfileError> {
        let file = &document.file;
        let remove = &file.remove;
        let (fs, diagnostics) = (&file.filesystem, &file.diagnostics);
        let (vars, out) = (&file.environment, &remove.environment);
        Ok(Layer {
            groups: List {
                added: texts(document, "groups.include", &file.groups.include),
                removed: named(document, "groups.exclude", &file.groups.exclude),
            },
            grants: grants(document)?,
            denies: List {
                added: List::adding(denies(document, &fs.deny)?).added,
                removed: paths(
                    document,
                    "remove.filesystem.deny",
                    &remove.filesystem.deny,
                    PathTemplate::parse,
                    |t| t,
                )?,
            },
            protects: protects(document)?,
            sockets: sockets(document)?,
            hosts: network::hosts(document, "allow", (&file.network.allow, &remove.network.allow))?,
            denied_hosts: network::hosts(
                document,
                "deny",
                (&file.network.deny, &remove.network.deny),
            )?,
            allow_vars: patterns(document, "allow_vars", (&vars.allow_vars, &out.allow_vars))?,
            deny_vars: patterns(document, "deny_vars", (&vars.deny_vars, &out.deny_vars))?,
            set_vars: list(document, "environment.set_vars", set_vars(document)?, &out.set_vars),
            credentials: list(
                document,
                "environment.credentials",
                credentials(document)?,
                &out.credentials,
            ),
            suppress_unix_sockets: suppressed(
                document,
                "suppress_unix_sockets",
                (&diagnostics.suppress_unix_sockets, &remove.diagnostics.suppress_unix_sockets),
            ),
            suppress_paths: suppressed(
                document,
                "suppress_paths",
                (&diagnostics.suppress_paths, &remove.diagnostics.suppress_paths),
            ),
            single: single(document)?,
        })
    }
}

fn single(document: &Document) -> Result<Single, ProfileError> {
    let file = &document.file;
    Ok(Single {
        workdir: file.workdir.as_ref().map(|workdir| workspace_access(document, workdir)),
        read_only: file
            .filesystem
            .read_only
            .map(|on| value(document, "filesystem.read_only", &on.to_string(), on)),
        private_tmp: file
            .filesystem
            .private_tmp
            .map(|on| value(document, "filesystem.private_tmp", &on.to_string(), on)),
        hide_denied: file
            .filesystem
            .hide_denied
            .map(|on| value(document, "filesystem.hide_denied", &on.to_string(), on)),
        network: file.network.mode.map(|mode| network::mode(document, mode)),
        listen: match &file.network.listen {
            Some(list) => Some(network::ports(document, "listen", list)?),
            None => None,
        },
        expose: match file.network.expose.as_slice() {
            [] => None,
            list => Some(network::ports(document, "expose", list)?),
        },
        mediation: file.linux.af_unix_mediation.map(|mode| {
            let (name, mediation) = match mode {
                wire::AfUnixMediation::Pathname => ("pathname", Mediation::Pathname),
                wire::AfUnixMediation::Off => ("off", Mediation::Off),
            };
            value(document, "linux.af_unix_mediation", name, mediation)
        }),
        datagrams: file
            .linux
            .af_unix_datagram
            .map(|on| value(document, "linux.af_unix_datagram", &on.to_string(), on)),
        isolation: file.isolation.map(|wanted| isolation(document, "isolation", wanted)),
        isolate: file.network.isolate.map(|wanted| isolation(document, "network.isolate", wanted)),
        observe: file.diagnostics.filesystem.map(|mode| {
            let (name, observe) = match mode {
                wire::FilesystemDiagnostics::Observe => ("observe", Observe::All),
                wire::FilesystemDiagnostics::Writes => ("writes", Observe::Writes),
                wire::FilesystemDiagnostics::Audit => ("audit", Observe::Audit),
                wire::FilesystemDiagnostics::Off => ("off", Observe::Off),
            };
            value(document, "diagnostics.filesystem", name, observe)
        }),
        per_second: file
            .rate
            .per_second
            .map(|n| value(document, "rate.per_second", &n.to_string(), n)),
        burst: file.rate.burst.map(|n| value(document, "rate.burst", &n.to_string(), n)),
        limits: limits(document),
    })
}

fn limits(document: &Document) -> BTreeMap<Limit, Sourced<u64>> {
    let limits = &document.file.limits;
    let written = [
        (Limit::Cpu, limits.cpu_ms.map(NonZeroU64::get)),
        (Limit::Memory, limits.memory_bytes.map(NonZeroU64::get)),
        (Limit::Tasks, limits.processes.map(|n| u64::from(n.get()))),
        (Limit::OpenFiles, limits.open_files.map(NonZeroU64::get)),
        (Limit::FileSize, limits.file_size_bytes.map(NonZeroU64::get)),
        (Limit::Output, limits.output_bytes.map(NonZeroU64::get)),
    ];
    let sourced = |(limit, most): (Limit, Option<u64>)| {
        let most = most?;
        Some((limit, value(document, limit.field(), &most.to_string(), most)))
    };
    written.into_iter().filter_map(sourced).collect()
}

pub(super) fn value<T>(document: &Document, field: &str, text: &str, value: T) -> Sourced<T> {
    Sourced { value, source: document.field(field, text), built_in: document.is_built_in() }
}

fn workspace_access(document: &Document, workdir: &wire::Workdir) -> Sourced<Access> {
    let read = Access::READ | Access::EXECUTE;
    let (name, access) = match workdir.access {
        wire::WorkdirAccess::None => ("none", Access::empty()),
        wire::WorkdirAccess::Read => ("read", read),
        wire::WorkdirAccess::Write => ("write", Access::WRITE),
        wire::WorkdirAccess::ReadWrite => ("readwrite", read | Access::WRITE),
    };
    value(document, "workdir.access", name, access)
}

/// What an entry may say beside its path and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    PathOnly,
    Existing,
    Create,
    Execute,
    CreateAndExecute,
}

/// An entry's remarks, taken apart.
#[derive(Debug, Clone)]
struct Remarks {
    create: bool,
    execute: bool,
    existing: bool,
    when: Vec<Condition>,
}

/// Reads a list of paths; one entry becomes as many as its braces have alternatives.
fn entries<T>(
    document: &Document,
    (field, list): (&str, &[wire::Entry]),
    takes: Takes,
    make: impl Fn(Remarks, PathTemplate) -> T,
) -> Entries<T> {
    let mut items = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let refuse = |message: String| document.refuse_entry(field, index, entry.path(), message);
        let templates = match takes {
            Takes::Existing => PathTemplate::parse_below_workspace(entry.path()),
            _ => PathTemplate::parse(entry.path()),
        };
        let templates = templates.map_err(refuse)?;
        let remarks = remarks(entry, takes).map_err(refuse)?;
        let source = document.entry(field, index, entry.path());
        let built_in = document.is_built_in();
        items.extend(templates.into_iter().map(|template| Sourced {
            value: make(remarks.clone(), template),
            source: source.clone(),
            built_in,
        }));
    }
    Ok(items)
}

fn remarks(entry: &wire::Entry, takes: Takes) -> Result<Remarks, String> {
    let wire::Entry::Detailed(entry) = entry else {
        return Ok(Remarks { create: false, execute: true, existing: false, when: Vec::new() });
    };
    if entry.create && !matches!(takes, Takes::Create | Takes::CreateAndExecute) {
        return Err("`create` is for folders; take it out".to_owned());
    }
    if entry.execute.is_some() && !matches!(takes, Takes::Execute | Takes::CreateAndExecute) {
        return Err("`execute` belongs to grants that read files; take it out".to_owned());
    }
    if entry.existing && takes != Takes::Existing {
        return Err("`existing` belongs to `protect`; take it out".to_owned());
    }
    Ok(Remarks {
        create: entry.create,
        execute: entry.execute.unwrap_or(true),
        existing: entry.existing,
        when: conditions(entry.when.as_ref())?,
    })
}

pub(super) fn conditions(when: Option<&wire::When>) -> Result<Vec<Condition>, String> {
    let texts = when.map_or(&[][..], wire::When::conditions);
    texts.iter().map(|text| Condition::parse(text)).collect()
}

fn grants(document: &Document) -> Result<List<Grant>, ProfileError> {
    use FileList::{Allow, AllowFile, Read, ReadFile, Write, WriteFile};
    use Takes::{Create, CreateAndExecute, Execute, PathOnly};
    let (fs, remove) = (&document.file.filesystem, &document.file.remove.filesystem);
    let fields = [
        ("read", &fs.read, &remove.read, Read, CreateAndExecute),
        ("write", &fs.write, &remove.write, Write, Create),
        ("allow", &fs.allow, &remove.allow, Allow, CreateAndExecute),
        ("read_file", &fs.read_file, &remove.read_file, ReadFile, Execute),
        ("write_file", &fs.write_file, &remove.write_file, WriteFile, PathOnly),
        ("allow_file", &fs.allow_file, &remove.allow_file, AllowFile, Execute),
    ];
    let mut all = List::default();
    for (name, added, removed, list, takes) in fields {
        let field = format!("filesystem.{name}");
        let added = entries(document, (&field, added), takes, |remarks, template| Grant {
            list,
            template,
            execute: remarks.execute,
            create: remarks.create,
            when: remarks.when,
        })?;
        all.added.extend(added);
        all.removed.extend(paths(
            document,
            &format!("remove.{field}"),
            removed,
            PathTemplate::parse,
            |t| (list, t),
        )?);
    }
    all.added = List::adding(all.added).added;
    Ok(all)
}

fn denies(document: &Document, list: &[wire::Entry]) -> Entries<Deny> {
    entries(document, ("filesystem.deny", list), Takes::PathOnly, |remarks, template| Deny {
        template,
        when: remarks.when,
    })
}

fn protects(document: &Document) -> Result<List<Protect>, ProfileError> {
    let (list, out) = (&document.file.filesystem.protect, &document.file.remove.filesystem.protect);
    let field = ("filesystem.protect", list.as_slice());
    let added = entries(document, field, Takes::Existing, |remarks, template| Protect {
        template,
        existing: remarks.existing,
        when: remarks.when,
    })?;
    let field = "remove.filesystem.protect";
    let removed = paths(document, field, out, PathTemplate::parse_below_workspace, |t| t)?;
    Ok(List { added: List::adding(added).added, removed })
}

fn sockets(document: &Document) -> Result<List<SocketGrant>, ProfileError> {
    use Reach::{Children, Exact, Subtree};
    let (fs, out) = (&document.file.filesystem, &document.file.remove.filesystem);
    let fields = [
        ("unix_socket", &fs.unix_socket, &out.unix_socket, Exact, false),
        ("unix_socket_bind", &fs.unix_socket_bind, &out.unix_socket_bind, Exact, true),
        ("unix_socket_dir", &fs.unix_socket_dir, &out.unix_socket_dir, Children, false),
        (
            "unix_socket_dir_bind",
            &fs.unix_socket_dir_bind,
            &out.unix_socket_dir_bind,
            Children,
            true,
        ),
        ("unix_socket_subtree", &fs.unix_socket_subtree, &out.unix_socket_subtree, Subtree, false),
        (
            "unix_socket_subtree_bind",
            &fs.unix_socket_subtree_bind,
            &out.unix_socket_subtree_bind,
            Subtree,
            true,
        ),
    ];
    let mut all = List::default();
    for (name, added, removed, reach, bind) in fields {
        let field = format!("filesystem.{name}");
        let takes = if reach == Exact { Takes::PathOnly } else { Takes::Create };
        let added = entries(document, (&field, added), takes, |remarks, template| SocketGrant {
            template,
            reach,
            bind,
            create: remarks.create,
            when: remarks.when,
        })?;
        all.added.extend(added);
        let removed =
            paths(document, &format!("remove.{field}"), removed, PathTemplate::parse, |t| {
                (reach, bind, t)
            })?;
        all.removed.extend(removed);
    }
    all.added = List::adding(all.added).added;
    Ok(all)
}

/// Paths to take out.
fn paths<N>(
    document: &Document,
    field: &str,
    list: &[String],
    parse: impl Fn(&str) -> Result<Vec<PathTemplate>, String>,
    name: impl Fn(PathTemplate) -> N,
) -> Result<Vec<Removal<N>>, ProfileError> {
    let mut removals = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let refuse = |message: String| document.refuse_entry(field, index, text, message);
        let source = document.entry(field, index, text);
        removals.extend(parse(text).map_err(refuse)?.into_iter().map(|template| Removal {
            name: name(template),
            source: source.clone(),
            used: false,
        }));
    }
    Ok(removals)
}

/// What a field adds, and what the field of the same name below `remove` takes out.
fn list<T: Listed<Name = String>>(
    document: &Document,
    field: &str,
    added: Vec<Sourced<T>>,
    removed: &[String],
) -> List<T> {
    List { added, removed: named(document, &format!("remove.{field}"), removed) }
}

/// Globs over variable names, and those to take out.
fn patterns(
    document: &Document,
    name: &str,
    (added, removed): (&[String], &[String]),
) -> Result<List<Glob>, ProfileError> {
    let field = format!("environment.{name}");
    Ok(list(document, &field, globs(document, &field, added)?, removed))
}

fn suppressed(
    document: &Document,
    name: &str,
    (added, removed): (&[String], &[String]),
) -> List<String> {
    let field = format!("diagnostics.{name}");
    list(document, &field, texts(document, &field, added), removed)
}

/// Names to take out.
fn named(document: &Document, field: &str, list: &[String]) -> Vec<Removal<String>> {
    let removal = |(index, text): (usize, &String)| Removal {
        name: text.clone(),
        source: document.entry(field, index, text),
        used: false,
    };
    list.iter().enumerate().map(removal).collect()
}

fn texts<T>(document: &Document, field: &str, list: &[String]) -> Vec<Sourced<T>>
where
    T: Listed + std::convert::From<String>,
{
    let read = |(index, text): (usize, &String)| Sourced {
        value: T::from(text.clone()),
        source: document.entry(field, index, text),
        built_in: document.is_built_in(),
    };
    List::adding(list.iter().enumerate().map(read).collect()).added
}

/// A bad glob is an error: a deny that means nothing must not pass unnoticed.
fn globs(document: &Document, field: &str, list: &[String]) -> Entries<Glob> {
    let read = |(index, text): (usize, &String)| {
        let value = Glob::new(text).map_err(|e| {
            document.refuse_entry(field, index, text, format!("not a glob: {}", e.kind()))
        })?;
        let source = document.entry(field, index, text);
        Ok(Sourced { value, source, built_in: document.is_built_in() })
    };
    let all = list.iter().enumerate().map(read).collect::<Entries<Glob>>()?;
    Ok(List::adding(all).added)
}

fn set_vars(document: &Document) -> Entries<SetVar> {
    let mut set_vars = Vec::new();
    for (name, variable) in &document.file.environment.set_vars {
        let (text, when_unset, when) = match variable {
            wire::SetVar::Value(value) => (value, false, None),
            wire::SetVar::Detailed(more) => (&more.value, more.when_unset, more.when.as_ref()),
        };
        let field = format!("environment.set_vars.{name}");
        let refuse = |message: String| document.refuse_field(&field, text, message);
        check_name(name, document).map_err(refuse)?;
        let value = SetVar {
            name: name.clone(),
            value: ValueTemplate::parse(text).map_err(refuse)?,
            when_unset,
            when: conditions(when).map_err(refuse)?,
        };
        let source = document.field(&field, text);
        set_vars.push(Sourced { value, source, built_in: document.is_built_in() });
    }
    Ok(set_vars)
}

/// Whether a profile may set a variable of that name; the error is a sentence.
fn check_name(name: &str, document: &Document) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("a variable's name cannot be empty or contain `=` or a NUL byte".into());
    }
    if name.starts_with("NONO_") && !document.is_built_in() {
        return Err("names that start with `NONO_` belong to the sandbox".into());
    }
    Ok(())
}

fn credentials(document: &Document) -> Entries<CredentialEntry> {
    let mut credentials = Vec::new();
    for (name, credential) in &document.file.environment.credentials {
        let field = format!("environment.credentials.{name}");
        let (text, from) = from(credential);
        let refuse = |message: String| document.refuse_field(&field, &text, message);
        check_name(name, document).map_err(refuse)?;
        if loads_code(name) {
            return Err(refuse("this variable makes programs load code; it is no secret".into()));
        }
        let value = CredentialEntry {
            name: name.clone(),
            from: from.map_err(refuse)?,
            when: conditions(credential.when.as_ref()).map_err(refuse)?,
        };
        let source = document.field(&field, &text);
        credentials.push(Sourced { value, source, built_in: document.is_built_in() });
    }
    Ok(credentials)
}

/// Where a secret is, in a few words and read; the error is a sentence.
fn from(credential: &wire::Credential) -> (String, Result<From, String>) {
    match (&credential.file, &credential.command) {
        (Some(file), None) => (format!("file {file}"), file_of(file)),
        (None, Some(words)) => (format!("command {}", words.join(" ")), command_of(words)),
        _ => ("?".to_owned(), Err("give either `file` or `command`".to_owned())),
    }
}

fn file_of(text: &str) -> Result<From, String> {
    match <[PathTemplate; 1]>::try_from(PathTemplate::parse(text)?) {
        Ok([only]) if !only.has_globs() => Ok(From::File(only)),
        _ => Err("a credential's file is one file; write its path".to_owned()),
    }
}

fn command_of(words: &[String]) -> Result<From, String> {
    if words.is_empty() {
        return Err("the command is empty; give a program and its arguments".to_owned());
    }
    words.iter().map(|word| ValueTemplate::parse(word)).collect::<Result<_, _>>().map(From::Command)
}

fn isolation(document: &Document, field: &str, wanted: wire::Isolation) -> Sourced<Isolation> {
    let isolation = match wanted {
        wire::Isolation::Auto => Isolation::Auto,
        wire::Isolation::Required => Isolation::Required,
        wire::Isolation::Off => Isolation::Off,
    };
    value(document, field, isolation.name(), isolation)
}
