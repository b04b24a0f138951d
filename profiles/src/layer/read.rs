//! From a checked file to a layer: texts become templates, globs and conditions.

use super::field::{list, named, texts};
use super::{Layer, List, Single, environment, filesystem, network};
use crate::error::ProfileError;
use crate::load::Document;

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

fn suppressed(
    document: &Document,
    name: &str,
    (added, removed): (&[String], &[String]),
) -> List<String> {
    let field = format!("diagnostics.{name}");
    list(document, &field, texts(document, &field, added), removed)
}
