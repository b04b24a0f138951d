//! Refusals because the profile is read-only: whatever else it grants, nothing can be changed.

use super::group::{Group, denial_path};
use super::view::View;
use super::wire::access;
use nono_sandbox::policy::{OwnView, Policy, ReadOnly};
use nono_sandbox::record::{Denial, Kind, Reason};
use nono_schemas::{Access, Risk};

/// What made the profile refuse this, if it did so for being read-only.
pub(super) fn stands_behind<'v>(view: View<'v>, denial: &Denial) -> Option<&'v ReadOnly> {
    let read_only = view.policy.fs.read_only.as_ref()?;
    let changes = matches!(denial.kind, Kind::Fs | Kind::UnixSocket)
        && matches!(access(denial.operation), Access::Write | Access::Bind)
        && matches!(denial.reason, Reason::NoGrant | Reason::InsufficientAccess);
    // What is another thing in each run is refused for that.
    let terminal = || denial_path(denial).is_some_and(|path| OwnView::names_terminal(&path));
    (changes && !terminal()).then_some(read_only)
}

/// The policy with all that being read-only took from it, where that is why all of a group was
/// refused. No grant has any effect before that.
pub(super) fn lifted(view: View<'_>, group: &Group<'_>) -> Option<Policy> {
    let all = group.members.iter().all(|denial| stands_behind(view, denial).is_some());
    all.then(|| view.policy.writable_again()).flatten()
}

/// What it puts at stake to take it back.
pub(super) const RISK: (Risk, &str) =
    (Risk::Medium, "commands could change all that the profile lets be written otherwise");

/// The rule, in words.
pub(super) fn rule(read_only: &ReadOnly) -> String {
    format!("{}, so that only $TMPDIR and devices can be written", read_only.source.rule)
}
