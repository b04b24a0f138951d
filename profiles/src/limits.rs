//! Rights taken out of grants before they are judged: read-only profiles, project files.

use crate::context::Context;
use crate::grants::Grants;
use crate::layer::Layer;
use crate::narrow;
use crate::note::{Note, NoteKind};
use nono_sandbox::policy::{Access, FsRule, ReadOnly, Source, UnixGrant};

/// Limits on what a layer's grants may give.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The most that is allowed in workspaces.
    pub(crate) workspace: Option<Access>,
}

/// Applies `read_only` of `layer`, and `limits`. Done before the grants are judged against what
/// stays closed, because a grant that cannot write can be narrowed around it. Gives what being
/// read-only took.
pub(crate) fn apply(
    grants: &mut Grants,
    layer: &Layer,
    limits: Limits,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Option<ReadOnly> {
    if let Some(most) = limits.workspace {
        in_workspaces(grants, most, context, notes);
    }
    let on = layer.single.read_only.as_ref().filter(|on| on.value);
    let taken = on.map(|on| read_only(grants, &on.source, context));
    grants.files.retain(|candidate| !candidate.rule.access.is_empty());
    taken
}

fn read_only(grants: &mut Grants, source: &Source, context: &Context) -> ReadOnly {
    let mut taken = ReadOnly { source: source.clone(), rules: Vec::new(), sockets: Vec::new() };
    for candidate in &mut grants.files {
        let rule = &mut candidate.rule;
        if rule.access.intersects(Access::CHANGES)
            && !narrow::always_writable(rule, &context.tmpdir)
        {
            taken.rules.push(FsRule { access: rule.access & Access::CHANGES, ..rule.clone() });
            rule.access -= Access::CHANGES;
        }
    }
    for candidate in &mut grants.sockets {
        let grant = &mut candidate.rule;
        if grant.bind && !grant.path.is_within(&context.tmpdir) {
            taken.sockets.push(UnixGrant { bind: true, ..grant.clone() });
            grant.bind = false;
        }
    }
    for rule in &mut grants.absent {
        rule.access -= Access::WRITE;
    }
    taken
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
                kind: NoteKind::WouldOpenDenied,
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
