//! From a checked file to a layer: texts become templates, globs and conditions.

use super::{Layer, List, Listed, Removal, Single, Sourced, environment, filesystem, network};
use crate::condition::Condition;
use crate::error::ProfileError;
use crate::load::Document;
use nono_schemas::profile_file as wire;

/// What a list adds, or what is wrong with it.
pub(super) type Entries<T> = Result<Vec<Sourced<T>>, ProfileError>;

impl Layer {
    /// Reads the texts of a file.
    pub(crate) fn of(document: &Document) -> Result<Layer, ProfileError> {
        let file = &document.file;
        let remove = &file.remove;
        let (vars, out) = (&file.environment, &remove.environment);
        let diagnostics = &file.diagnostics;
        Ok(Layer {
            groups: List {
                added: texts(document, "groups.include", &file.groups.include),
                removed: named(document, "groups.exclude", &file.groups.exclude),
            },
            grants: filesystem::grants(document)?,
            denies: filesystem::denies(document)?,
            protects: filesystem::protects(document)?,
            sockets: filesystem::sockets(document)?,
            hosts: network::hosts(document, "allow", (&file.network.allow, &remove.network.allow))?,
            denied_hosts: network::hosts(
                document,
                "deny",
                (&file.network.deny, &remove.network.deny),
            )?,
            allow_vars: environment::patterns(
                document,
                "allow_vars",
                (&vars.allow_vars, &out.allow_vars),
            )?,
            deny_vars: environment::patterns(
                document,
                "deny_vars",
                (&vars.deny_vars, &out.deny_vars),
            )?,
            set_vars: environment::set_vars(document)?,
            credentials: environment::credentials(document)?,
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
            single: Single::of(document)?,
        })
    }
}

/// A single value, and what it is as text.
pub(super) fn value<T>(document: &Document, field: &str, text: &str, value: T) -> Sourced<T> {
    Sourced { value, source: document.field(field, text), built_in: document.is_built_in() }
}

pub(super) fn conditions(when: Option<&wire::When>) -> Result<Vec<Condition>, String> {
    let texts = when.map_or(&[][..], wire::When::conditions);
    texts.iter().map(|text| Condition::parse(text)).collect()
}

/// What a field adds, and what the field of the same name below `remove` takes out.
pub(super) fn list<T: Listed<Name = String>>(
    document: &Document,
    field: &str,
    added: Vec<Sourced<T>>,
    removed: &[String],
) -> List<T> {
    List { added, removed: named(document, &format!("remove.{field}"), removed) }
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
