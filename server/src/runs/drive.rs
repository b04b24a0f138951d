//! Sees one run through, from the hand-over to the end, whether or not anybody waits for it.

use super::admit::Admission;
use super::halt::{Halt, reached};
use super::pump::Pump;
use super::run::{Ask, Ended, Finished, Run, Snapshot, State};
use super::spare::Spares;
use super::supervisor::{Commission, Supervisor};
use crate::audit::{self, Hash, Trail};
use crate::kernel_log::Following;
use crate::proxy::Tenancy;
use crate::quoted;
use crate::secrets::Patterns;
use nono_sandbox::control::{Event, Order};
use nono_sandbox::policy::{Exceeded, Resource};
use nono_sandbox::record::{Denial, DenialLog};
use nono_sandbox::supervisor::SetupFailed;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a supervisor may take to build a sandbox and start the command in it.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a supervisor may be late before it counts as lost. Not soon: beside two thousand busy
/// processes it gets a processor every few seconds.
const SLACK: Duration = Duration::from_secs(10);
/// How long the pipes may stay open after the last process of the tree is gone.
const PIPE_PATIENCE: Duration = Duration::from_millis(500);

/// The end of the output that is searched for refused paths, in bytes.
const LAST_WORDS: usize = 16 << 10;

/// When a new spare supervisor is started in the place of the one a run took: once the answer is
/// out, or once the command is on its way and does not end at once. Earlier, it would take the
/// processor from both.
const AFTER_END: Duration = Duration::from_millis(2);
const AFTER_START: Duration = Duration::from_millis(20);

/// Why a supervisor counts as lost.
const LATE: &str = "it did not answer in time";
const SILENT: &str = "it ended without a report";

/// Everything a run is made of that calls do not see.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) run: Arc<Run>,
    pub(super) supervisor: Supervisor,
    pub(super) pumps: Vec<Pump>,
    pub(super) asks: mpsc::UnboundedReceiver<Ask>,
    pub(super) flood: mpsc::Receiver<Exceeded>,
    /// Bytes of output there may be.
    pub(super) most_output: Option<u64>,
    pub(super) halt: watch::Receiver<Halt>,
    pub(super) spares: Spares,
    /// What is taken out of names.
    pub(super) secrets: Option<Arc<Patterns>>,
    /// Time the supervisor takes to end a run, as its plan says.
    pub(super) ending: Duration,
    /// Given back when everything of the run is gone.
    pub(super) permit: Admission,
    /// Where the end is recorded.
    pub(super) trail: Trail,
    /// Given back with it; what the proxy refused belongs to the run's denials.
    pub(super) tenancy: Option<Tenancy>,
    /// What the kernel's audit log says of it, where that is wanted.
    pub(super) following: Option<Following>,
}

/// What the loop waits for.
enum Woken {
    Event(Event),
    Ask(Ask),
    Flood(Exceeded),
    Halt,
    Ended(Ended),
}

impl Driver {
    /// Sees the run through. `commission`: what the supervisor was told.
    pub(super) async fn drive(mut self, commission: Commission) {
        let memory = commission.plan.launch.limits.memory_bytes;
        let mut ended = match (self.until_end(commission).await, memory) {
            (Ended::Lost(why), Some(limit))
                if why == SILENT && self.supervisor.ran_out_of_memory() =>
            {
                Ended::Overrun(Exceeded { resource: Resource::Memory, limit })
            }
            (ended, _) => ended,
        };
        // Asked once more when everything that the command has said is read.
        let supervisor = match &ended {
            Ended::Outcome(_) => Some(self.supervisor),
            Ended::Refused(_) => {
                self.supervisor.retire();
                None
            }
            Ended::Cut | Ended::Lost(_) | Ended::Overrun(_) => {
                self.supervisor.bury().await;
                None
            }
        };
        let nothing = || audit::stream(0, Hash::of(b""));
        let mut streams = [nothing(), nothing()];
        for (stream, pump) in streams.iter_mut().zip(self.pumps) {
            *stream = pump.finish(PIPE_PATIENCE).await;
        }
        if let (Ended::Outcome(outcome), Some(mut supervisor)) = (&mut ended, supervisor) {
            match self.following.take() {
                None => outcome.denials.inferred = inferred(&mut supervisor, &self.run).await,
                Some(following) => {
                    outcome.denials.absorb(confirmed(&mut supervisor, following).await);
                }
            }
            // A command that ends at once is gone before anybody could be told of the limit.
            outcome.exceeded = outcome.exceeded.or_else(|| self.run.output_over(self.most_output));
            let DenialLog { items, inferred, .. } = &mut outcome.denials;
            without_secrets(self.secrets.as_deref(), items);
            without_secrets(self.secrets.as_deref(), inferred);
            supervisor.retire();
        }
        self.run.writer.close();
        let wall = self.run.identity.started.elapsed();
        if let Ended::Lost(why) = &ended {
            tracing::error!(run_id = self.run.identity.id, why, "a supervisor was lost");
        }
        tracing::info!(run_id = self.run.identity.id, ?wall, "run over");
        let finished = Finished { ended, wall };
        // Before the place is given back: a server that shuts down waits for that.
        self.trail.ended(&self.run.identity, &finished, streams).await;
        drop(self.tenancy);
        drop(self.permit);
        self.run.state.send_replace(State::Over(Arc::new(finished)));
        self.spares.refill_after(AFTER_END);
    }

    async fn until_end(&mut self, commission: Commission) -> Ended {
        if let Err(ended) = self.until_started(commission).await {
            return ended;
        }
        // From when the command runs, as the supervisor counts.
        let late = Instant::now() + self.run.identity.timeout + self.ending + SLACK;
        let mut late = pin!(sleep_until(late));
        let mut halted = false;
        let mut looks: VecDeque<oneshot::Sender<Snapshot>> = VecDeque::new();
        loop {
            let order = match self.woken(late.as_mut(), halted).await {
                Woken::Ended(ended) => return ended,
                Woken::Event(event) => {
                    if let Some(ended) = self.take_event(event, &mut looks) {
                        return ended;
                    }
                    continue;
                }
                Woken::Ask(Ask::Look(tell)) => {
                    looks.push_back(tell);
                    Order::Look
                }
                Woken::Ask(Ask::Signal { signal, to }) => Order::Signal { signal, to },
                Woken::Ask(Ask::Stop { grace }) => Order::Stop { grace },
                Woken::Flood(exceeded) => Order::Kill(exceeded),
                Woken::Halt => {
                    halted = true;
                    Order::Stop { grace: None }
                }
            };
            if let Order::Stop { grace } = &order {
                let end = Instant::now() + grace.unwrap_or(self.ending) + SLACK;
                // Whoever asks twice can only hasten it.
                let sooner = late.deadline().min(end);
                late.as_mut().reset(sooner);
            }
            if let Err(ended) = self.tell(&order, late.as_mut()).await {
                return ended;
            }
        }
    }

    /// Sends an order; a supervisor that does not read is as lost as one that says nothing.
    async fn tell(&mut self, order: &Order, late: Pin<&mut Sleep>) -> Result<(), Ended> {
        let cut = reached(self.halt.clone(), Halt::Cut);
        tokio::select! {
            () = self.supervisor.order(order) => Ok(()),
            () = cut => Err(Ended::Cut),
            () = late => Err(Ended::Lost(LATE.into())),
        }
    }

    /// Waits until the command runs. Nothing else is done meanwhile, so that a supervisor that has
    /// to be replaced knows of nothing that the next one would have to be told. From then on the
    /// streams are the command's alone.
    async fn until_started(&mut self, commission: Commission) -> Result<(), Ended> {
        let mut commission = Some(commission);
        let mut late = pin!(sleep_until(self.run.identity.started + START_PATIENCE));
        loop {
            let cut = reached(self.halt.clone(), Halt::Cut);
            let event = tokio::select! {
                event = heard(&mut self.supervisor) => event?,
                () = cut => return Err(Ended::Cut),
                () = late.as_mut() => return Err(Ended::Lost(LATE.into())),
            };
            match event {
                Event::Started(pid) => {
                    tracing::debug!(pid, "command started");
                    self.spares.refill_after(AFTER_START);
                    return Ok(());
                }
                Event::Unusable(failed) => match commission.take() {
                    Some(commission) => self.start_anew(&commission, &failed)?,
                    None => return Err(Ended::Refused(failed)),
                },
                Event::Refused(failed) => return Err(Ended::Refused(failed)),
                _ => return Err(Ended::Lost("it began with something else".into())),
            }
        }
    }

    /// Gives the run to a supervisor that has built nothing ahead, which cannot fail for the same
    /// reason.
    fn start_anew(&mut self, commission: &Commission, failed: &SetupFailed) -> Result<(), Ended> {
        tracing::debug!(%failed, run_id = self.run.identity.id, "a spare supervisor is of no use");
        let fresh = self.spares.fresh().and_then(|mut fresh| {
            fresh.start(commission)?;
            Ok(fresh)
        });
        match fresh {
            Ok(fresh) => {
                std::mem::replace(&mut self.supervisor, fresh).retire();
                Ok(())
            }
            Err(error) => Err(Ended::Refused(failed.saying(error.to_string()))),
        }
    }

    async fn woken(&mut self, late: Pin<&mut Sleep>, halted: bool) -> Woken {
        let (stop, cut) = (self.halt.clone(), self.halt.clone());
        tokio::select! {
            event = heard(&mut self.supervisor) => event.map_or_else(Woken::Ended, Woken::Event),
            Some(ask) = self.asks.recv() => Woken::Ask(ask),
            Some(exceeded) = self.flood.recv() => Woken::Flood(exceeded),
            () = reached(stop, Halt::Stop), if !halted => Woken::Halt,
            () = reached(cut, Halt::Cut) => Woken::Ended(Ended::Cut),
            () = late => Woken::Ended(Ended::Lost(LATE.into())),
        }
    }

    /// Adds what the proxy refused.
    fn add_refused(&self, denials: &mut DenialLog) {
        if let Some(tenancy) = &self.tenancy {
            denials.absorb(tenancy.refused());
        }
    }

    /// Takes note of an event; `Some` if it is the last one.
    fn take_event(
        &self,
        event: Event,
        looks: &mut VecDeque<oneshot::Sender<Snapshot>>,
    ) -> Option<Ended> {
        match event {
            Event::LeaderEnded(end) => {
                self.run.state.send_replace(State::LeaderEnded(end));
            }
            Event::Sight { sight, mut denials, slowed } => {
                self.add_refused(&mut denials);
                without_secrets(self.secrets.as_deref(), &mut denials.items);
                // Answers come in the order of the questions. Who asked may have left.
                if let Some(tell) = looks.pop_front() {
                    drop(tell.send(Snapshot { sight, denials, slowed }));
                }
            }
            Event::Ended(mut outcome) => {
                self.add_refused(&mut outcome.denials);
                return Some(Ended::Outcome(Box::new(outcome)));
            }
            // Said before the command runs, or not asked for while it does.
            Event::Started(_)
            | Event::Refused(_)
            | Event::Unusable(_)
            | Event::Inferred(_)
            | Event::Confirmed(_) => {}
        }
        None
    }
}

/// The next event; without one the supervisor is lost. Safe to cancel.
async fn heard(supervisor: &mut Supervisor) -> Result<Event, Ended> {
    match supervisor.next_event().await {
        Ok(Some(event)) => Ok(event),
        Ok(None) => Err(Ended::Lost(SILENT.into())),
        Err(error) => Err(Ended::Lost(error.to_string())),
    }
}

/// Names of files are the command's choice, so a secret may be in them. Out here, before anything
/// is told or recorded.
fn without_secrets(secrets: Option<&Patterns>, denials: &mut [Denial]) {
    let Some(patterns) = secrets else { return };
    for denial in denials {
        let names = [&mut denial.target, &mut denial.exe].into_iter();
        for name in names.chain(&mut denial.resolved).chain(&mut denial.host) {
            let (clean, count) = patterns.replace(name);
            if count > 0 {
                *name = clean;
            }
        }
    }
}

/// What the supervisor makes of the command's last words, if they speak of a refusal and it has not
/// seen every read itself.
async fn inferred(supervisor: &mut Supervisor, run: &Run) -> Vec<Denial> {
    let quoted = quoted::paths(&run.view().last_bytes(LAST_WORDS));
    if quoted.is_empty() {
        return Vec::new();
    }
    supervisor.order(&Order::Infer(quoted)).await;
    match tokio::time::timeout(PIPE_PATIENCE, supervisor.next_event()).await {
        Ok(Ok(Some(Event::Inferred(denials)))) => denials,
        // It has seen every read, so it is gone already.
        _ => Vec::new(),
    }
}

/// What the kernel's audit log has of the run, as far as its rules confirm it. What the kernel
/// counted beyond that is counted here too.
async fn confirmed(supervisor: &mut Supervisor, following: Following) -> DenialLog {
    let (refusals, missed) = following.finish().await;
    let mut log = DenialLog::default();
    if !refusals.is_empty() {
        supervisor.order(&Order::Confirm(refusals)).await;
        match tokio::time::timeout(PIPE_PATIENCE, supervisor.next_event()).await {
            Ok(Ok(Some(Event::Confirmed(confirmed)))) => log = confirmed,
            _ => tracing::warn!("a supervisor did not say what of the kernel's log is its run's"),
        }
    }
    log.total += missed;
    log.dropped += missed;
    log
}
