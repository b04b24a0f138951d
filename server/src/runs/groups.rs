//! Control groups of runs: removed by the server, and by a sweeper once the server is gone.

use super::supervisor::Supervisors;
use nono_sandbox::groups;
use nono_sandbox::plan::Cgroups;
use std::io::Read;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

/// First argument that makes this binary a sweeper; the server's process id follows.
pub(crate) const SWEEP: &str = "__sweep";
/// How long a sweeper tries. Supervisors that live take their runs down by themselves meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
const QUIET_LOOKS: u32 = 5;

/// Where runs have their groups.
#[derive(Debug)]
pub(super) struct Groups {
    parents: Cgroups,
    /// Ends once its standard input does, which is when this process has ended.
    _sweeper: Option<Child>,
}

impl Groups {
    /// Groups below `parents`, and a sweeper for them. Without a sweeper there are no groups: a
    /// server that is killed would leave them behind.
    pub(super) fn watched(parents: Cgroups, supervisors: &Supervisors) -> Self {
        if parents.all().next().is_none() {
            return Self { parents, _sweeper: None };
        }
        match supervisors.start_sweeper() {
            Ok(sweeper) => Self { parents, _sweeper: Some(sweeper) },
            Err(error) => {
                tracing::warn!(%error, "no control groups: their sweeper cannot be started");
                Self { parents: Cgroups::default(), _sweeper: None }
            }
        }
    }

    pub(super) fn parents(&self) -> &Cgroups {
        &self.parents
    }

    /// Removes the groups of a run that is over.
    pub(super) async fn remove(&self, supervisor: Option<u32>) {
        let (Some(supervisor), parents) = (supervisor, self.parents.clone()) else { return };
        let server = std::process::id();
        // Takes microseconds, unless the kernel is still letting go of the last process.
        let removed = tokio::task::spawn_blocking(move || {
            groups::remove(&parents, server, supervisor);
        });
        if let Err(error) = removed.await {
            tracing::debug!(%error, "the server ended before the groups of a run were removed");
        }
    }
}

/// A sweeper: waits until `server` has ended, then kills and removes what is left of its runs.
pub(crate) fn sweep(server: u32) -> ExitCode {
    // Not where a signal for the server's process group would find it.
    let _leads_one_already = nix::unistd::setsid();
    let mut nothing = Vec::new();
    let _ended = std::io::stdin().read_to_end(&mut nothing);
    let parents = nono_sandbox::host::Host::probe().cgroups;
    let until = Instant::now() + PATIENCE;
    let mut empty = 0;
    // More than once: a supervisor that was about to start a run makes its groups meanwhile.
    while empty < QUIET_LOOKS && Instant::now() < until {
        empty = if groups::sweep(&parents, server) { empty + 1 } else { 0 };
        std::thread::sleep(PAUSE);
    }
    ExitCode::SUCCESS
}
