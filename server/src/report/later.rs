//! Refusals of what the profile grants: it was not there when the server started.

use super::group::{Group, denial_path};
use super::view::View;
use crate::safe_text::clean;
use nono_sandbox::policy::{FsRule, Scope};
use nono_sandbox::record::{Denial, Kind, Reason};
use nono_schemas::DecidedBy;

/// The entry that would allow all of a group if its object had been there.
pub(super) fn granted<'v>(view: View<'v>, group: &Group<'_>) -> Option<&'v FsRule> {
    let allows = |rule: &&FsRule| group.members.iter().all(|denial| allows(view, rule, denial));
    view.absent.iter().filter(allows).max_by_key(|rule| rule.path.as_bytes().len())
}

fn allows(view: View<'_>, rule: &FsRule, denial: &Denial) -> bool {
    let about_files = matches!(denial.kind, Kind::Fs | Kind::Exec)
        && matches!(denial.reason, Reason::NoGrant | Reason::InsufficientAccess);
    let Some(path) = denial_path(denial).filter(|_| about_files) else { return false };
    let covers = match rule.scope {
        Scope::Tree => path.is_within(&rule.path),
        Scope::File => path == rule.path,
    };
    covers && (rule.access | view.policy.fs.rights(&path)).contains(denial.access)
}

/// Why it was refused all the same.
pub(super) fn decided_by(rule: &FsRule) -> DecidedBy {
    let FsRule { path, source, .. } = rule;
    let late =
        format!("{} grants it, but {path} did not exist when the server started", source.rule);
    DecidedBy {
        layer: "landlock".to_owned(),
        rule: clean::name(late.as_bytes()),
        source: source.to_string(),
    }
}

/// What helps.
pub(super) fn way_out(rule: &FsRule) -> String {
    let path = clean::name(rule.path.as_bytes());
    format!(
        "the profile needs no addition: the operator makes {path}, if it is not there by now, and \
         starts the server anew"
    )
}
