//! Signals to processes outside, where the kernel's scope keeps them in without telling anybody.

use crate::record::{Confidence, Layer};
use crate::supervisor::mediate::{Caller, Shared, is_ours, record_foreign};

/// Records a signal to a process that exists, is the user's own and is not of this run. Its own
/// supervisor counts as outside, like every other process that is not below it.
pub(super) fn examine(shared: &Shared, caller: &Caller<'_>, pid: i32, syscall: &'static str) {
    if !is_ours(pid) {
        record_foreign(shared, caller, pid, syscall, (Layer::Landlock, Confidence::Observed));
    }
}
