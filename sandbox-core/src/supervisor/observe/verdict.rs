//! What becomes of a watched call.

use crate::record::{Confidence, Layer, Reason};
use nix::errno::Errno;

/// What becomes of a watched call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The kernel decides.
    GoOn,
    /// It would change what stays as it is.
    Refuse(Errno),
}

impl Verdict {
    /// About a call whose objects were not found. Where something stays as it is, no call that could
    /// change it (`may_change_kept`) goes on unless it has been seen what it is about: what was not
    /// found from where the program starts may be found by the kernel a moment later, or with other
    /// eyes. The errno is the one the program would have met.
    pub(super) fn without_look(may_change_kept: bool, errno: Errno) -> Self {
        if may_change_kept && !fails_by_itself(errno) {
            Verdict::Refuse(errno)
        } else {
            Verdict::GoOn
        }
    }
}

/// Whether the kernel refuses the call by the text of its path, whatever that means: looking paths
/// up gives this errno for names that can only be folders that are there. The kernel's depends on
/// the call.
fn fails_by_itself(errno: Errno) -> bool {
    errno == Errno::EEXIST
}

/// Who refuses for this reason, and what that makes of the call.
pub(super) fn decided(reason: Reason) -> (Layer, Confidence, Verdict) {
    match reason {
        Reason::Kept => (Layer::Mediation, Confidence::Enforced, Verdict::Refuse(Errno::EACCES)),
        _ => (Layer::Landlock, Confidence::Observed, Verdict::GoOn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_on_unseen_where_something_is_kept() {
        let told = |keeps, errno| Verdict::without_look(keeps, errno);
        use Errno::*;
        for errno in
            [EMFILE, ENFILE, ENOMEM, EFAULT, EPERM, ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG]
        {
            assert_eq!(told(true, errno), Verdict::Refuse(errno));
            assert_eq!(told(false, errno), Verdict::GoOn);
        }
        assert_eq!(told(true, EEXIST), Verdict::GoOn);
    }
}
