//! What all runs of a server share, whoever started them: places, supervisors, the end.

use super::admit::Places;
use super::halt::Halt;
use super::spare::Spares;
use super::supervisor::Supervisors;
use super::user_tasks::UserTasks;
use crate::error::ServerError;
use crate::kernel_log::KernelLog;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::{Basis, Cgroups};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::timeout;

/// At shutdown: time for runs to end after they were asked to, then after they were cut off, so that
/// their supervisors end them.
const STOP_PATIENCE: Duration = Duration::from_millis(400);
const CUT_PATIENCE: Duration = Duration::from_millis(500);
/// Time for what is left after that to be killed and reaped, if need be by this process. Only a
/// supervisor that is at fault, or gets no processor, needs it; one without namespaces is the only
/// one that can end all of its run at once, and is given most of it.
const KILL_PATIENCE: Duration = Duration::from_millis(4500);

/// All places for live runs, and what starts and ends them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) spares: Spares,
    pub(super) places: Arc<Places>,
    pub(super) user_tasks: UserTasks,
    /// Descriptors that a command may have open, if that is less than this process may.
    pub(super) soft_open_files: Option<u64>,
    /// Where output is spooled to.
    pub(super) folder: PathBuf,
    /// What tells of refusals, where a profile wants them from there.
    pub(super) kernel_log: Option<KernelLog>,
    /// Ends once its standard input does, which is when this process has ended.
    _sweeper: Option<Child>,
}

impl Pool {
    /// Prepares for at most `live` runs at once, whose output may be spooled to `folder` and which
    /// may have groups below `cgroups`; starts the first spare supervisors, for runs that rest on
    /// `basis`, in the namespaces that all runs are in. Where they differ, each supervisor makes its
    /// own once it has its plan.
    ///
    /// # Errors
    /// [`ServerError::System`] if the running binary cannot be opened.
    pub(crate) fn new(
        live: u32,
        folder: PathBuf,
        cgroups: Cgroups,
        namespaces: Option<Namespaces>,
        basis: Option<Arc<Basis>>,
        kernel_log: Option<KernelLog>,
    ) -> Result<Arc<Self>, ServerError> {
        let places = Places::new(live);
        // Before there are supervisors, which need as many.
        let soft_open_files = raise_open_files();
        let supervisors = Supervisors::new(namespaces, Arc::clone(&places))?;
        let sweeper = supervisors.use_groups(cgroups);
        let spares = Spares::new(supervisors, basis);
        spares.refill();
        Ok(Arc::new(Self {
            spares,
            places,
            user_tasks: UserTasks::new(),
            soft_open_files,
            folder,
            kernel_log,
            _sweeper: sweeper,
        }))
    }

    /// How many runs are live.
    pub(crate) fn live_now(&self) -> usize {
        self.places.taken()
    }

    /// Ends every run: asks first, cuts off what is left. Takes less than a second, and longer
    /// where supervisors have to be killed.
    pub(crate) async fn shut_down(&self) {
        self.spares.close();
        let Places { halt, .. } = &*self.places;
        for (step, patience) in [(Halt::Stop, STOP_PATIENCE), (Halt::Cut, CUT_PATIENCE)] {
            halt.send_replace(step);
            if timeout(patience, self.places.all_free()).await.is_ok() {
                return;
            }
        }
        // Nothing of a run outlives its namespaces' first process. What has none is this process's to
        // kill, which nobody does once it has ended: so it waits.
        halt.send_replace(Halt::Kill);
        if timeout(KILL_PATIENCE, halt.closed()).await.is_err() {
            tracing::warn!("some runs were still ending when the server did");
        }
    }
}

/// Lets this process, and every supervisor, have as many descriptors open as it may: what one run
/// holds at its proxy must not be missing for another, nor what its calls hold while they block for
/// the rest of them. The limit from before, if it was another one.
fn raise_open_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok().filter(|()| soft < hard).map(|()| soft)
}
