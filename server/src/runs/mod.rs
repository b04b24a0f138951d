//! Runs: a supervisor for each, its output collected, its outcome kept.
//!
//! A run belongs to nobody: a task of its own sees it through (`drive`), and calls look at it
//! through a [`Run`] while it goes on and after it has ended.

mod arena;
mod channel;
mod drive;
mod input;
mod lines;
mod orphans;
mod output;
mod pump;
mod registry;
mod run;
mod spare;
mod spool;
#[cfg(test)]
mod spool_tests;
mod streams;
mod supervisor;
mod sweep;
mod switches;
mod user_tasks;
mod view;

pub(crate) use input::{NoInput, Written};
pub(crate) use lines::{for_each_line, for_each_match};
pub(crate) use pump::Echo;
pub(crate) use run::{Ended, Finished, Identity, Run, Snapshot, State};
pub(crate) use streams::{Input, Size};
pub(crate) use supervisor::SUPERVISE;
pub(crate) use sweep::{SWEEP, sweep};
pub(crate) use switches::Stream;
pub(crate) use view::{Captured, OutputView};

use crate::audit::Trail;
use crate::error::ServerError;
use arena::Arena;
use drive::{Driver, Halt};
use input::Writer;
use nono_sandbox::plan::{Cgroups, Plan};
use output::Output;
use pump::{Pump, Target};
use registry::{Known, Registry};
use spare::Spares;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streams::Streams;
use supervisor::Supervisors;
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use user_tasks::UserTasks;

/// Commands that may run at once, unless the operator says otherwise.
pub(crate) const DEFAULT_LIVE: u32 = 64;
/// Calls that may wait for a place, and for how long.
const MAX_QUEUED: usize = 64;
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);
/// At shutdown: time for runs to end after they were asked to, then after they were cut off.
const STOP_PATIENCE: Duration = Duration::from_millis(400);
const CUT_PATIENCE: Duration = Duration::from_millis(300);

/// What to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called in lists.
    pub(crate) identity: Identity,
    /// What the supervisor does.
    pub(crate) plan: Plan,
    /// Standard input.
    pub(crate) input: Input,
    /// Whether output is also passed on as it comes.
    pub(crate) echo: Echo,
    /// Where its end is recorded.
    pub(crate) trail: Trail,
}

/// A key under which a client may repeat a call, and what it asked for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The client's name for the call.
    pub(crate) name: String,
    /// A digest of what it asked for.
    pub(crate) request: u64,
}

/// All runs of this server.
#[derive(Debug)]
pub(crate) struct Runs {
    spares: Spares,
    arena: Arc<Arena>,
    registry: Mutex<Registry>,
    live: u32,
    permits: Arc<Semaphore>,
    /// Ends once its standard input does, which is when this process has ended.
    _sweeper: Option<Child>,
    user_tasks: UserTasks,
    queued: AtomicUsize,
    halt: watch::Sender<Halt>,
}

impl Runs {
    /// Prepares for at most `live` runs at once, whose output may be spooled to `folder` and which
    /// may have groups below `cgroups`; starts the first spare supervisor.
    ///
    /// # Errors
    /// [`ServerError::System`] if the running binary cannot be opened.
    pub(crate) fn new(live: u32, folder: PathBuf, cgroups: Cgroups) -> Result<Self, ServerError> {
        let supervisors = Supervisors::new()?;
        let sweeper = supervisors.use_groups(cgroups);
        let spares = Spares::new(supervisors);
        spares.refill();
        Ok(Self {
            spares,
            arena: Arena::new(folder),
            registry: Mutex::default(),
            live,
            permits: Arc::new(Semaphore::new(live as usize)),
            _sweeper: sweeper,
            user_tasks: UserTasks::new(),
            queued: AtomicUsize::new(0),
            halt: watch::Sender::new(Halt::No),
        })
    }

    /// Starts a run, or says which one a repeated call has started before.
    ///
    /// # Errors
    /// [`ServerError`] if nothing was started.
    pub(crate) async fn start(&self, job: Job, key: Option<Key>) -> Result<Arc<Run>, ServerError> {
        if let Some(run) = started_before(&mut self.lock(), key.as_ref())? {
            return Ok(run);
        }
        let permit = self.admit().await?;
        // Held to the end, so that of two calls with the same key one starts a run.
        let mut registry = self.lock();
        if let Some(run) = started_before(&mut registry, key.as_ref())? {
            return Ok(run);
        }
        let run = self.launch(job, permit)?;
        registry.add(&run);
        if let Some(key) = key {
            registry.remember(key.name, key.request, &run, Instant::now());
        }
        registry.forget_old(Instant::now());
        while self.arena.is_tight() && registry.clear_oldest() {}
        Ok(run)
    }

    /// Hands the job to a supervisor and the supervisor to a driver.
    fn launch(&self, job: Job, permit: OwnedSemaphorePermit) -> Result<Arc<Run>, ServerError> {
        let Job { identity, mut plan, input, echo, trail } = job;
        plan.limits.user_tasks = plan.limits.tasks.map(|own| self.user_tasks.limit(own));
        let (theirs, ours) = Streams::open(&input)?;
        let supervisor = self.spares.take()?;
        if let Err(error) = supervisor.start(&plan, theirs) {
            supervisor.retire();
            return Err(error);
        }
        let output = Output::new(Arc::clone(&self.arena));
        let (flood_tell, flood) = mpsc::channel(1);
        let (asks_tell, asks) = mpsc::unbounded_channel();
        let most = plan.limits.output_bytes;
        let hashed = trail.is_kept();
        let target = Target { output: Arc::clone(&output), echo, most, hashed, flood: flood_tell };
        let mut pumps = vec![Pump::start(ours.stdout, Stream::Stdout, target.clone())];
        pumps.extend(ours.stderr.map(|from| Pump::start(from, Stream::Stderr, target)));
        let run = Arc::new(Run {
            identity,
            output,
            writer: Writer::start(ours.input, input),
            state: watch::Sender::new(State::Live),
            asks: asks_tell,
            shown: AtomicU64::new(0),
        });
        let driver = Driver {
            run: Arc::clone(&run),
            supervisor,
            pumps,
            asks,
            flood,
            halt: self.halt.subscribe(),
            spares: self.spares.clone(),
            ending: plan.drain + plan.grace,
            permit,
            trail,
        };
        tokio::spawn(driver.drive());
        Ok(run)
    }

    /// A place among the live runs. Who finds none waits in a queue of limited length.
    async fn admit(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        if *self.halt.borrow() != Halt::No {
            return Err(ServerError::ShuttingDown);
        }
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let busy = || ServerError::Busy { limit: self.live, runs: self.live_list() };
        let _place = Place::take(&self.queued).ok_or_else(busy)?;
        let acquire = Arc::clone(&self.permits).acquire_owned();
        let mut halt = self.halt.subscribe();
        tokio::select! {
            permit = tokio::time::timeout(QUEUE_PATIENCE, acquire) => match permit {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) | Err(_) => Err(busy()),
            },
            _ = halt.wait_for(|halt| *halt != Halt::No) => Err(ServerError::ShuttingDown),
        }
    }

    /// The run of that name, if it has not been forgotten.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Run>> {
        self.lock().get(id)
    }

    /// All runs that are not forgotten, the newest last.
    pub(crate) fn all(&self) -> Vec<Arc<Run>> {
        self.lock().all()
    }

    /// The live runs, in a few words.
    pub(crate) fn live_list(&self) -> String {
        /// More are only counted.
        const NAMED: usize = 8;
        let live: Vec<_> = self.all().into_iter().filter(|run| !run.is_over()).collect();
        let named =
            live.iter().take(NAMED).map(|r| format!("{} ({})", r.identity.id, r.identity.label));
        let mut list = named.collect::<Vec<_>>().join(", ");
        match live.len() {
            0 => "none".to_owned(),
            count if count > NAMED => {
                list.push_str(&format!(" and {} more", count - NAMED));
                list
            }
            _ => list,
        }
    }

    /// Ends every run: asks first, cuts off what is left. Takes less than a second.
    pub(crate) async fn shut_down(&self) {
        self.spares.close();
        for (step, patience) in [(Halt::Stop, STOP_PATIENCE), (Halt::Cut, CUT_PATIENCE)] {
            self.halt.send_replace(step);
            let all_over = self.permits.acquire_many(self.live);
            if tokio::time::timeout(patience, all_over).await.is_ok() {
                return;
            }
        }
        tracing::warn!("some runs were still ending when the server did");
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The run that a call with this key has started before.
///
/// # Errors
/// [`ServerError::KeyInUse`] if that was another call.
fn started_before(
    registry: &mut Registry,
    key: Option<&Key>,
) -> Result<Option<Arc<Run>>, ServerError> {
    let Some(key) = key else { return Ok(None) };
    match registry.known(&key.name, key.request, Instant::now()) {
        Known::No => Ok(None),
        Known::Yes(run) => Ok(Some(run)),
        Known::Other => Err(ServerError::KeyInUse { key: key.name.clone() }),
    }
}

/// A place in the queue; given back when dropped.
struct Place<'q>(&'q AtomicUsize);

impl<'q> Place<'q> {
    fn take(queued: &'q AtomicUsize) -> Option<Self> {
        let room = |n: usize| (n < MAX_QUEUED).then_some(n + 1);
        queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Self(queued))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
