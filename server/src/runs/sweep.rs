//! The sweeper: a process that removes the control groups of a server's runs once that is gone.

use nono_sandbox::groups::{self, GroupsAt};
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// First argument that makes this binary a sweeper; [`GroupsAt`] follows.
pub(crate) const SWEEP: &str = "__sweep";
/// How long a sweeper tries. Supervisors that live take their runs down by themselves meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
const QUIET_LOOKS: u32 = 5;

/// A sweeper: waits until the server has ended, then kills and removes what is left of its runs.
pub(crate) fn sweep(at: &GroupsAt) -> ExitCode {
    // Not where a signal for the server's process group would find it.
    let _leads_one_already = nix::unistd::setsid();
    let mut nothing = Vec::new();
    let _ended = std::io::stdin().read_to_end(&mut nothing);
    let until = Instant::now() + PATIENCE;
    let mut empty = 0;
    // More than once: a supervisor that was about to start a run makes its groups meanwhile.
    while empty < QUIET_LOOKS && Instant::now() < until {
        empty = if groups::sweep(at) { empty + 1 } else { 0 };
        std::thread::sleep(PAUSE);
    }
    ExitCode::SUCCESS
}
