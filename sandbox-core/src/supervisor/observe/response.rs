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
    /// About a call that could not be looked at. What is not found here failed, or will fail, for an
    /// ordinary reason; but where something stays as it is, no call that could change it
    /// (`may_change_kept`) goes on because it cannot be seen what it is about.
    pub(super) fn without_look(may_change_kept: bool, errno: Errno) -> Self {
        if may_change_kept && is_unseen(errno) { Response::Refuse(errno) } else { Response::GoOn }
    }
}

/// Whether it cannot be seen what a call is about: this process has run out of something, or the
/// caller's memory is the kernel's alone (memfd_secret(2), `EFAULT`) or that of a program that its
/// user may not read (`EPERM`).
pub(super) fn is_unseen(errno: Errno) -> bool {
    use Errno::{EFAULT, EMFILE, ENFILE, ENOMEM, EPERM};
    matches!(errno, EMFILE | ENFILE | ENOMEM | EFAULT | EPERM)
}

/// Who refuses for this reason, and what that makes of the call.
pub(super) fn decided(reason: Reason) -> (Layer, Confidence, Response) {
    match reason {
        Reason::Kept => (Layer::Mediation, Confidence::Enforced, Response::Refuse(Errno::EACCES)),
        _ => (Layer::Landlock, Confidence::Observed, Response::GoOn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_on_for_want_of_descriptors_where_something_is_kept() {
        let told = |keeps, errno| Response::without_look(keeps, errno);
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EFAULT, Errno::EPERM] {
            assert_eq!(told(true, errno), Response::Refuse(errno));
            assert_eq!(told(false, errno), Response::GoOn);
        }
        for errno in [Errno::ENOENT, Errno::ENAMETOOLONG, Errno::EACCES] {
            assert_eq!(told(true, errno), Response::GoOn);
        }
    }
}
