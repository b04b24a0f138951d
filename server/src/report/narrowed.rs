//! Refusals of what the operator's profile allows: the call asked for less, or the project file
//! does. No grant helps there.

use super::group::Group;
use super::{View, grant, network};
use crate::safe_text::clean;
use nono_sandbox::policy::{NetworkMode, Policy};
use nono_sandbox::record::{Denial, Reason};
use nono_schemas::{DecidedBy, Grantable};

/// Who narrowed the operator's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// The call.
    Call,
    /// The project file of the first workspace.
    ProjectFile,
}

impl Narrowed {
    /// Who did, if all of a group was refused because of it.
    pub(super) fn of(view: View<'_>, group: &Group<'_>) -> Option<Self> {
        let by = |wider: Option<&Policy>| wider.is_some_and(|wider| allows(view, wider, group));
        if by(view.wider) {
            Some(Self::Call)
        } else if by(view.operators) {
            Some(Self::ProjectFile)
        } else {
            None
        }
    }

    /// Who can allow it.
    pub(super) fn grantable(self) -> Grantable {
        match self {
            Self::Call => Grantable::ByCall,
            Self::ProjectFile => Grantable::NotByGrant,
        }
    }

    /// The rule behind the refusal. `nearest`: the one of the policy in use.
    pub(super) fn decided_by(self, view: View<'_>, nearest: DecidedBy) -> DecidedBy {
        let (rule, source) = match self {
            // Where a line of it says so, that is told.
            Self::ProjectFile if nearest.source.contains(&project_file(view)) => return nearest,
            Self::Call => {
                (format!("the call asked for {}", view.narrowed.join("; ")), "the call".to_owned())
            }
            Self::ProjectFile => (
                "the project file takes this from the profile, which allows it".to_owned(),
                format!("project file {}", project_file(view)),
            ),
        };
        let clean = |text: String| clean::name(text.as_bytes());
        DecidedBy { rule: clean(rule), source: clean(source), ..nearest }
    }

    /// What helps.
    pub(super) fn way_out(self) -> String {
        match self {
            Self::Call => "call again without what narrowed this call".to_owned(),
            Self::ProjectFile => format!(
                "show the person you work for what {} asks for, and let them change it",
                nono_profiles::project_file()
            ),
        }
    }
}

/// Whether `wider` would have allowed all of a group, or has the network that it takes.
fn allows(view: View<'_>, wider: &Policy, group: &Group<'_>) -> bool {
    let mode: NetworkMode = view.policy.network.mode;
    let allows = |denial: &&Denial| {
        let by_mode =
            wider.network.mode > mode && network::is_because_of_mode(&view.policy.network, denial);
        // Each name may be written there, and the folders have different rights.
        let moved = denial.reason == Reason::MoreRights && wider.fs.rules != view.policy.fs.rules;
        by_mode || (grant::allows(wider, denial) && (moved || !grant::allows(view.policy, denial)))
    };
    group.members.iter().all(allows)
}

/// Where it is, as its lines are told.
fn project_file(view: View<'_>) -> String {
    let workspace = view.policy.fs.workspaces.first();
    let workspace = workspace.map(|folder| format!("{folder}/")).unwrap_or_default();
    format!("{workspace}{}", nono_profiles::project_file())
}
