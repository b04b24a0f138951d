//! Runs: a supervisor for each, its output collected, its outcome awaited.

mod capture;
mod orphans;
mod pump;
mod spare;
mod supervisor;

pub(crate) use capture::Captured;
pub(crate) use pump::{Echo, Input};
pub(crate) use supervisor::SUPERVISE;

use crate::error::ServerError;
use nono_sandbox::control::{Event, Outcome};
use nono_sandbox::plan::Plan;
use nono_sandbox::supervisor::SetupFailed;
use pump::{Feed, Pump, Streams};
use spare::Spares;
use std::pin::{Pin, pin};
use std::time::Duration;
use supervisor::{Supervisor, Supervisors};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep};

/// Commands that may run at once.
pub(crate) const MAX_LIVE: usize = 64;
const MAX_LIVE_PERMITS: u32 = 64;
/// How long a supervisor may be late before it counts as lost.
const SLACK: Duration = Duration::from_secs(5);
/// How long the pipes may stay open after the last process of the tree is gone.
const PIPE_PATIENCE: Duration = Duration::from_millis(500);
/// At shutdown: time for runs to end after they were asked to, then after they were cut off.
const STOP_PATIENCE: Duration = Duration::from_millis(400);
const CUT_PATIENCE: Duration = Duration::from_millis(300);

/// What to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// What the supervisor does.
    pub(crate) plan: Plan,
    /// Standard input.
    pub(crate) input: Input,
    /// Whether output is also passed on as it comes.
    pub(crate) echo: Echo,
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Standard output.
    pub(crate) stdout: Captured,
    /// Standard error.
    pub(crate) stderr: Captured,
    /// From the hand-over to the end, as the server saw it.
    pub(crate) wall: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The supervisor reported this.
    Outcome(Outcome),
    /// The sandbox could not be built in full, so nothing ran.
    Refused(SetupFailed),
    /// The server shut down and cut the run off.
    Cut,
    /// The supervisor ended without a report; its tree was killed.
    Lost(String),
}

/// What runs are asked to do as a whole. Ordered: each step includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Halt {
    No,
    Stop,
    Cut,
}

/// All runs of this server.
#[derive(Debug)]
pub(crate) struct Runs {
    spares: Spares,
    permits: Semaphore,
    halt: watch::Sender<Halt>,
}

impl Runs {
    /// Prepares for runs; starts the first spare supervisor.
    ///
    /// # Errors
    /// [`ServerError::System`] if the running binary cannot be opened.
    pub(crate) fn new() -> Result<Self, ServerError> {
        let spares = Spares::new(Supervisors::new()?);
        spares.refill();
        Ok(Self { spares, permits: Semaphore::new(MAX_LIVE), halt: watch::Sender::new(Halt::No) })
    }

    /// Runs `job` to its end, or until `cancel` is ready, which asks the command to end.
    ///
    /// # Errors
    /// [`ServerError`] if nothing was started.
    pub(crate) async fn run(
        &self,
        job: Job,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<Finished, ServerError> {
        let _permit = self.admit()?;
        let started = Instant::now();
        let (theirs, ours) = Streams::open(&job.input)?;
        let _feed = Feed::start(ours.stdin, job.input)?;
        let (out, err) = job.echo.sinks();
        let stdout = Pump::start(ours.stdout, out)?;
        let stderr = Pump::start(ours.stderr, err)?;
        let mut supervisor = self.spares.take()?;
        if let Err(error) = supervisor.start(&job.plan, theirs) {
            supervisor.retire();
            return Err(error);
        }
        let patience = job.plan.timeout + job.plan.drain + job.plan.grace + SLACK;
        let ended = self.until_end(&mut supervisor, patience, job.plan.grace, pin!(cancel)).await;
        // For runs that ended before their command started; else nothing is missing.
        self.spares.refill();
        match ended {
            Ended::Outcome(_) | Ended::Refused(_) => supervisor.retire(),
            Ended::Cut | Ended::Lost(_) => supervisor.bury().await,
        }
        let (stdout, stderr) =
            tokio::join!(stdout.finish(PIPE_PATIENCE), stderr.finish(PIPE_PATIENCE));
        Ok(Finished { ended, stdout, stderr, wall: started.elapsed() })
    }

    fn admit(&self) -> Result<SemaphorePermit<'_>, ServerError> {
        if *self.halt.borrow() != Halt::No {
            return Err(ServerError::ShuttingDown);
        }
        self.permits.try_acquire().map_err(|_| ServerError::Busy { limit: MAX_LIVE })
    }

    /// Reads events until the run is over.
    async fn until_end(
        &self,
        supervisor: &mut Supervisor,
        patience: Duration,
        grace: Duration,
        mut cancel: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Ended {
        let mut stop = self.halt.subscribe();
        let mut cut = self.halt.subscribe();
        let mut late = pin!(sleep(patience));
        let mut stopping = false;
        loop {
            let asked_to_stop = tokio::select! {
                event = supervisor.next_event() => match event {
                    Ok(Some(Event::Started(pid))) => {
                        tracing::debug!(pid, "command started");
                        // Not earlier: it would take the processor from building this sandbox.
                        self.spares.refill();
                        continue;
                    }
                    Ok(Some(Event::Refused(failed))) => return Ended::Refused(failed),
                    Ok(Some(Event::Ended(outcome))) => return Ended::Outcome(outcome),
                    Ok(None) => return Ended::Lost("it ended without a report".into()),
                    Err(error) => return Ended::Lost(error.to_string()),
                },
                () = &mut cancel, if !stopping => true,
                _ = stop.wait_for(|halt| *halt >= Halt::Stop), if !stopping => true,
                _ = cut.wait_for(|halt| *halt >= Halt::Cut) => return Ended::Cut,
                () = &mut late => return Ended::Lost("it did not answer in time".into()),
            };
            if asked_to_stop {
                stopping = true;
                supervisor.stop().await;
                late.as_mut().reset(Instant::now() + grace + SLACK);
            }
        }
    }

    /// Ends every run: asks first, cuts off what is left. Takes less than a second.
    pub(crate) async fn shut_down(&self) {
        self.spares.close();
        for (step, patience) in [(Halt::Stop, STOP_PATIENCE), (Halt::Cut, CUT_PATIENCE)] {
            self.halt.send_replace(step);
            let all_over = self.permits.acquire_many(MAX_LIVE_PERMITS);
            if tokio::time::timeout(patience, all_over).await.is_ok() {
                return;
            }
        }
        tracing::warn!("some runs were still ending when the server did");
    }
}
