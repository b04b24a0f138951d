//! The `filesystem` object of a file: texts become templates of paths.

use super::field::{Entries, conditions};
use super::{Deny, Grant, List, Protect, Removal, SocketGrant, Sourced};
use crate::condition::Condition;
use crate::error::ProfileError;
use crate::file_list::FileList;
use crate::load::Document;
use crate::template::{PathTemplate, alternatives};
use nono_sandbox::policy::Reach;
use nono_schemas::profile_file as wire;

pub(super) fn grants(document: &Document) -> Result<List<Grant>, ProfileError> {
    use FileList::{Allow, AllowFile, Read, ReadFile, Write, WriteFile};
    use Takes::{Create, CreateAndExecute, Execute};
    let (fs, remove) = (&document.file.filesystem, &document.file.remove.filesystem);
    let fields = [
        ("read", &fs.read, &remove.read, Read, CreateAndExecute),
        ("write", &fs.write, &remove.write, Write, Create),
        ("allow", &fs.allow, &remove.allow, Allow, CreateAndExecute),
        ("read_file", &fs.read_file, &remove.read_file, ReadFile, Execute),
        ("write_file", &fs.write_file, &remove.write_file, WriteFile, Create),
        ("allow_file", &fs.allow_file, &remove.allow_file, AllowFile, CreateAndExecute),
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

pub(super) fn denies(document: &Document) -> Result<List<Deny>, ProfileError> {
    let (list, out) = (&document.file.filesystem.deny, &document.file.remove.filesystem.deny);
    let field = ("filesystem.deny", list.as_slice());
    let added = entries(document, field, Takes::PathOnly, |remarks, template| Deny {
        template,
        when: remarks.when,
    })?;
    let removed = paths(document, "remove.filesystem.deny", out, PathTemplate::parse, |t| t)?;
    Ok(List { added: List::adding(added).added, removed })
}

pub(super) fn protects(document: &Document) -> Result<List<Protect>, ProfileError> {
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

pub(super) fn sockets(document: &Document) -> Result<List<SocketGrant>, ProfileError> {
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
        let built_in = document.is_built_in();
        // What is protected is taken out by its own text, so that is what is told of it.
        let spelled = match takes {
            Takes::Existing => alternatives(entry.path()).map_err(refuse)?,
            _ => vec![entry.path().to_owned(); templates.len()],
        };
        items.extend(templates.into_iter().zip(spelled).map(|(template, text)| Sourced {
            value: make(remarks.clone(), template),
            source: document.entry(field, index, &text),
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
        return Err(
            "`create` is for folders, and for files that may be written; take it out".to_owned()
        );
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
