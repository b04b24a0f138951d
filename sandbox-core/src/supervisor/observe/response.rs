//! What becomes of a watched call.

use crate::record::{Confidence, Layer, Reason};
use nix::errno::Errno;

/// What becomes of a watched call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Response {
    /// The kernel decides.
    GoOn,
    /// It would change what stays as it is.
    Refuse(Errno),
}

impl Response {
    /// About a call whose objects were not found. Where something stays as it is, no call that could
    /// change it (`may_change_protected`) goes on unless it has been seen what it is about: what was
    /// not found from where the program starts may be found by the kernel a moment later, or with
    /// other eyes. The errno is the one the program would have met.
    pub(super) fn without_look(may_change_protected: bool, errno: Errno) -> Self {
        if may_change_protected && !fails_by_itself(errno) {
            Response::Refuse(errno)
        } else {
            Response::GoOn
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
pub(super) fn decided(reason: Reason) -> (Layer, Confidence, Response) {
    match reason {
        Reason::Protected => {
            (Layer::Mediation, Confidence::Enforced, Response::Refuse(Errno::EACCES))
        }
        _ => (Layer::Landlock, Confidence::Observed, Response::GoOn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_on_unseen_where_something_is_protected() {
        let told = |keeps, errno| Response::without_look(keeps, errno);
        use Errno::*;
        for errno in
            [EMFILE, ENFILE, ENOMEM, EFAULT, EPERM, ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG]
        {
            assert_eq!(told(true, errno), Response::Refuse(errno));
            assert_eq!(told(false, errno), Response::GoOn);
        }
        assert_eq!(told(true, EEXIST), Response::GoOn);
    }
}
