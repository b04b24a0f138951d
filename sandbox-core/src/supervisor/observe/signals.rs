//! Signals to processes outside, where the kernel's scope keeps them in without telling anybody.

use crate::policy::Access;
use crate::record::{Confidence, Kind, Layer, Operation, Reason};
use crate::supervisor::mediate::{Caller, Refusal, Shared};
use crate::supervisor::tree;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::unix::fs::MetadataExt;

/// Records a signal to a process that exists, is the user's own and is not of this run.
pub(super) fn examine(shared: &Shared, caller: &Caller<'_>, pid: i32, syscall: &'static str) {
    let owner = std::fs::metadata(format!("/proc/{pid}")).map(|m| m.uid());
    let own = owner.ok() == Some(nix::unistd::geteuid().as_raw());
    // Its own supervisor counts as outside, like every other process that is not below it.
    if !own || tree::descendants().contains(&Pid::from_raw(pid)) {
        return;
    }
    let refusal = Refusal {
        kind: Kind::Signal,
        operation: Operation::Signal,
        access: Access::empty(),
        target: format!("process {pid}").into_bytes(),
        resolved: None,
        syscall,
        errno: Errno::EPERM,
        layer: Layer::Landlock,
        reason: Reason::NotSupported,
        rule: None,
        confidence: Confidence::Observed,
    };
    shared.record(caller, refusal);
}
