//! What is known for certain of a run, whatever its programs say.

use nono_sandbox::policy::Policy;
use nono_sandbox::record::{Denial, Kind};

/// What explanations rest on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) policy: &'k Policy,
    pub(super) denials: &'k [&'k Denial],
    /// The exit code, if the command exited.
    pub(super) exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub(super) signal: Option<i32>,
    /// Whether it ended because a limit ran out.
    pub(super) limit_ran_out: bool,
    /// Whether commands are root's.
    pub(super) as_root: bool,
}

impl Known<'_> {
    /// Whether something was refused that passes a test.
    pub(super) fn denied(&self, test: impl Fn(&Denial) -> bool) -> bool {
        self.denials.iter().any(|d| test(d))
    }

    /// Whether a socket was refused whose path has this in it.
    pub(super) fn socket(&self, part: &str) -> bool {
        self.denied(|d| {
            d.kind == Kind::UnixSocket && String::from_utf8_lossy(&d.target).contains(part)
        })
    }

    /// Whether commands see a variable of this name.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.policy.environment.variables.contains_key(name)
    }
}
