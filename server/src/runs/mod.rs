//! Runs: a supervisor for each, its output collected, its outcome kept.
//!
//! A run belongs to nobody: a task of its own sees it through (`drive`), and calls look at it
//! through a [`Run`] while it goes on and after it has ended.

mod admit;
mod arena;
mod channel;
mod claim;
mod drive;
mod flood;
mod halt;
mod input;
mod lines;
mod namespaces;
mod orphans;
mod output;
mod pattern;
mod pool;
mod pump;
mod registry;
mod run;
mod screen;
mod spare;
mod spool;
#[cfg(test)]
mod spool_tests;
mod start_error;
mod stored;
mod streams;
mod supervisor;
mod sweep;
mod switches;
mod user_tasks;
mod view;

pub(crate) use input::{NoInput, Written};
pub(crate) use lines::{Searched, for_each_line, for_each_match, search};
pub(crate) use namespaces::{NAMESPACES, namespaces};
pub(crate) use pattern::{Matcher, Pattern};
pub(crate) use pool::Pool;
pub(crate) use pump::Echo;
pub(crate) use registry::{KEPT, KEPT_FOR};
pub(crate) use run::{Ended, Finished, Identity, Run, Snapshot, State};
pub(crate) use start_error::StartError;
pub(crate) use streams::{Input, Size};
pub(crate) use sweep::{SWEEP, sweep};
pub(crate) use switches::Stream;
pub(crate) use view::{Captured, OutputView};

use crate::audit::Trail;
use crate::kernel_log::Following;
use crate::proxy::Tenancy;
use crate::sandbox::Sandbox;
use crate::secrets::Patterns;
use admit::{Admission, Gate, NoPlace};
use arena::Arena;
use claim::{Claim, Claimed};
use drive::Driver;
use input::Writer;
use nono_sandbox::plan::Plan;
use nono_sandbox::policy::Observe;
use output::Output;
use pump::{Pump, Target};
use registry::Registry;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streams::Streams;
use supervisor::{Commission, Supervisor};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Commands that may run at once, unless the operator says otherwise.
pub(crate) const DEFAULT_LIVE: u32 = 64;
/// What to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called in lists.
    pub(crate) identity: Identity,
    /// What it may do.
    pub(crate) sandbox: Arc<Sandbox>,
    /// What the supervisor does.
    pub(crate) plan: Plan,
    /// Standard input.
    pub(crate) input: Input,
    /// Whether output is also passed on as it comes.
    pub(crate) echo: Echo,
    /// Where its end is recorded.
    pub(crate) trail: Trail,
    /// The run's place at the proxy, if it has one.
    pub(crate) tenancy: Option<Tenancy>,
}

/// A key under which a client may repeat a call, and what it asked for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The client's name for the call.
    pub(crate) name: String,
    /// A digest of what it asked for.
    pub(crate) request: u64,
}

/// The runs of one principal; a server with one user has no others.
#[derive(Debug)]
pub(crate) struct Runs {
    pool: Arc<Pool>,
    gate: Gate,
    arena: Arc<Arena>,
    registry: Mutex<Registry>,
    /// What is taken out of output and names.
    secrets: Option<Arc<Patterns>>,
}

impl Runs {
    /// At most `live` at once, of the places of `pool`, without `secrets` in what is kept.
    pub(crate) fn new(pool: Arc<Pool>, live: u32, secrets: Option<Arc<Patterns>>) -> Self {
        let arena = Arena::new(pool.folder.clone());
        let gate = Gate::new(Arc::clone(&pool.places), live);
        Self { pool, gate, arena, registry: Mutex::default(), secrets }
    }

    /// Starts a run, or says which one a repeated call has started before.
    ///
    /// # Errors
    /// [`StartError`] if nothing was started.
    pub(crate) async fn start(&self, job: Job, key: Option<Key>) -> Result<Arc<Run>, StartError> {
        let claim = match key {
            Some(key) => match Claim::of(&self.registry, key).await? {
                Claimed::Ours(claim) => Some(claim),
                Claimed::Before(run) => return Ok(run),
            },
            None => None,
        };
        let permit = self.gate.admit().await.map_err(|why| self.no_place(why))?;
        // May start a process, so nobody who asks for other runs waits for it.
        let run = self.launch(job, permit)?;
        let mut registry = self.lock();
        registry.add(&run);
        if let Some(claim) = claim {
            claim.settle(&mut registry, &run);
        }
        registry.forget_old(Instant::now());
        while self.arena.is_tight() && registry.clear_oldest() {}
        Ok(run)
    }

    /// Hands the job to a supervisor and the supervisor to a driver.
    fn launch(&self, job: Job, permit: Admission) -> Result<Arc<Run>, StartError> {
        let Job { mut identity, sandbox, mut plan, input, echo, trail, tenancy } = job;
        plan.launch.limits.user_tasks =
            plan.launch.limits.tasks.map(|own| self.pool.user_tasks.limit(own));
        plan.launch.limits.soft_open_files = self.pool.soft_open_files;
        let (theirs, ours) = Streams::open(&input)?;
        if let Some(name) = &ours.terminal {
            plan = plan.on_terminal(name.clone());
        }
        let mut supervisor = self.pool.spares.take(&plan)?;
        // Before the command can be refused anything.
        let following = self.listen_for(&mut plan, &supervisor)?;
        let proxy = tenancy.as_ref().map(Tenancy::open).transpose();
        let proxy = proxy.map_err(StartError::doing("make a socket pair"))?;
        let (most, ending) =
            (plan.launch.limits.output_bytes, plan.launch.drain + plan.launch.grace);
        let commission = Commission { plan, stdio: theirs, proxy };
        // Whoever had to wait for a place has lost none of its time.
        identity.started = Instant::now();
        if let Err(error) = supervisor.start(&commission) {
            supervisor.retire();
            return Err(error);
        }
        let output = Output::new(Arc::clone(&self.arena));
        let (flood_tell, flood) = mpsc::channel(1);
        let (asks_tell, asks) = mpsc::unbounded_channel();
        let hashed = trail.is_kept();
        let target = Target {
            output: Arc::clone(&output),
            secrets: self.secrets.clone(),
            echo,
            most,
            hashed,
            flood: flood_tell,
        };
        let mut pumps = vec![Pump::start(ours.stdout, Stream::Stdout, target.clone())];
        pumps.extend(ours.stderr.map(|from| Pump::start(from, Stream::Stderr, target)));
        let run = Arc::new(Run {
            identity,
            sandbox,
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
            most_output: most,
            halt: self.pool.places.halt.subscribe(),
            spares: self.pool.spares.clone(),
            secrets: self.secrets.clone(),
            ending,
            permit,
            trail,
            tenancy,
            following,
        };
        tokio::spawn(driver.drive(commission));
        Ok(run)
    }

    /// Listens to the kernel's audit log for the run, where its profile wants that.
    fn listen_for(
        &self,
        plan: &mut Plan,
        supervisor: &Supervisor,
    ) -> Result<Option<Following>, StartError> {
        let wanted = plan.basis.policy.observe == Observe::Audit;
        let Some((log, id)) = self.pool.kernel_log.as_ref().filter(|_| wanted).zip(supervisor.id())
        else {
            return Ok(None);
        };
        let mark = crate::random::bytes().map(u64::from_ne_bytes);
        let mark = mark.map_err(StartError::doing("read random numbers"))?;
        plan.launch.kernel_log_mark = Some(mark);
        Ok(log.follow(id, mark))
    }

    fn no_place(&self, why: NoPlace) -> StartError {
        match why {
            NoPlace::Busy(limit) => StartError::Busy { limit, runs: self.live_list() },
            NoPlace::ShuttingDown => StartError::ShuttingDown,
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

    /// Ends every run of the pool, whoever started it. Takes less than a second.
    pub(crate) async fn shut_down(&self) {
        self.pool.shut_down().await;
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
