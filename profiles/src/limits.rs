//! Rights taken out of grants before they are judged: read-only profiles, project files.

use crate::context::Context;
use crate::grants::Grants;
use crate::layer::Layer;
use crate::narrow;
use crate::note::{Note, NoteKind};
use nono_sandbox::policy::Access;

/// Limits on what a layer's grants may give.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The most that is allowed in workspaces.
    pub(crate) workspace: Option<Access>,
}

/// Applies `read_only` of `layer`, and `limits`. Done before the grants are judged against what
/// stays closed, because a grant that cannot write can be narrowed around it.
pub(crate) fn apply(
    grants: &mut Grants,
    layer: &Layer,
    limits: Limits,
    context: &Context,
    notes: &mut Vec<Note>,
) {
    if let Some(most) = limits.workspace {
        in_workspaces(grants, most, context, notes);
    }
    if layer.single.read_only.as_ref().is_some_and(|on| on.value) {
        read_only(grants, context);
    }
    grants.files.retain(|candidate| !candidate.rule.access.is_empty());
}

fn read_only(grants: &mut Grants, context: &Context) {
    for candidate in &mut grants.files {
        if !narrow::always_writable(&candidate.rule, &context.tmpdir) {
            candidate.rule.access -= Access::WRITE | Access::MAKE_SOCKET;
        }
    }
    for candidate in &mut grants.sockets {
        candidate.rule.bind &= candidate.rule.path.is_within(&context.tmpdir);
    }
    for rule in &mut grants.absent {
        rule.access -= Access::WRITE;
    }
}

/// Leaves grants in workspaces no more than `most`; making sockets counts as writing.
fn in_workspaces(grants: &mut Grants, most: Access, context: &Context, notes: &mut Vec<Note>) {
    let writes = most.contains(Access::WRITE);
    let most = if writes { most | Access::MAKE_SOCKET } else { most };
    for candidate in &mut grants.files {
        let rule = &mut candidate.rule;
        if context.workspaces.iter().any(|workspace| rule.path.is_within(workspace)) {
            rule.access &= most;
        } else if context.workspaces.iter().any(|w| rule.covers(w)) && !most.contains(rule.access) {
            notes.push(Note {
                kind: NoteKind::WouldOpenProtected,
                source: rule.source.clone(),
                message: format!(
                    "{} contains a workspace, which the project file wanted to have less access \
                     to; this grant keeps it open",
                    rule.path
                ),
                built_in: candidate.built_in,
            });
        }
    }
    for candidate in &mut grants.sockets {
        let rule = &mut candidate.rule;
        let inside = context.workspaces.iter().any(|w| rule.path.is_within(w));
        rule.bind &= writes || !inside;
    }
}
