//! What all runs of a server share, whoever started them: places, supervisors, the end.

use super::admit::Places;
use super::drive::Halt;
use super::spare::Spares;
use super::supervisor::Supervisors;
use super::user_tasks::UserTasks;
use crate::error::ServerError;
use crate::kernel_log::KernelLog;
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::{Basis, Cgroups};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;

/// At shutdown: time for runs to end after they were asked to, then after they were cut off.
const STOP_PATIENCE: Duration = Duration::from_millis(400);
const CUT_PATIENCE: Duration = Duration::from_millis(300);

/// All places for live runs, and what starts and ends them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) spares: Spares,
    pub(super) places: Arc<Places>,
    pub(super) user_tasks: UserTasks,
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
        let supervisors = Supervisors::new(namespaces)?;
        let sweeper = supervisors.use_groups(cgroups);
        let spares = Spares::new(supervisors, basis);
        spares.refill();
        Ok(Arc::new(Self {
            spares,
            places: Places::new(live),
            user_tasks: UserTasks::new(),
            folder,
            kernel_log,
            _sweeper: sweeper,
        }))
    }

    /// How many runs are live.
    pub(crate) fn live_now(&self) -> usize {
        self.places.taken()
    }

    /// Ends every run: asks first, cuts off what is left. Takes less than a second.
    pub(crate) async fn shut_down(&self) {
        self.spares.close();
        for (step, patience) in [(Halt::Stop, STOP_PATIENCE), (Halt::Cut, CUT_PATIENCE)] {
            self.places.halt.send_replace(step);
            if tokio::time::timeout(patience, self.places.all_free()).await.is_ok() {
                return;
            }
        }
        tracing::warn!("some runs were still ending when the server did");
    }
}
