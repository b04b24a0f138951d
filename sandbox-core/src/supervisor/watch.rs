//! The main loop of a supervisor: waits for the command, the server and the clock.

use super::bootstrap::Running;
use super::confine::SignalScope;
use super::look::{InputObject, look};
use super::mediate::Mediator;
use super::mounts::seal::Before;
use super::observe::{Ran, confirm, confirms, infer, infers};
use super::reap::{Death, Left, reap, reap_stopped};
use super::tree;
use super::usage::LimitWatch;
use crate::control::{Decoder, End, Event, Order, Outcome, SignalTo, TreeTier, send_event};
use crate::plan::{Leftovers, Plan};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the server may take to read what a command has said.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Where a run is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first process lives.
    Running,
    /// It is gone; what it left goes on by itself.
    Kept,
    /// It is gone; what it left may finish until then.
    Draining { until: Instant },
    /// Asked to end; SIGKILL then.
    Ending { why: End, kill_at: Instant },
}

/// What the command reads and what it may use, as far as the watch needs it.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) control: OwnedFd,
    pub(super) signals: SignalFd,
    pub(super) input: Option<InputObject>,
    pub(super) limits: LimitWatch,
    pub(super) scope: Option<SignalScope>,
    /// What stays as it is.
    pub(super) before: Before,
}

/// A running command and everything that watches it.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    leader: Pid,
    mediator: Mediator,
    control: File,
    orders: Decoder<Order>,
    signals: SignalFd,
    input: Option<InputObject>,
    limits: LimitWatch,
    scope: Option<SignalScope>,
    before: Before,
    started: Instant,
    phase: Phase,
    death: Option<Death>,
}

/// The server is gone.
struct ServerGone;

impl Watch {
    /// Blocks SIGCHLD and makes it readable. Before anything is started that could die.
    pub(super) fn child_signals() -> Result<SignalFd, Errno> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
    }

    pub(super) fn new(
        plan: Plan,
        running: Running,
        mediator: Mediator,
        surroundings: Surroundings,
    ) -> Self {
        let Surroundings { control, signals, input, limits, scope, before } = surroundings;
        Self {
            plan,
            leader: running.leader,
            mediator,
            control: File::from(control),
            orders: Decoder::default(),
            signals,
            input,
            limits,
            scope,
            before,
            started: Instant::now(),
            phase: Phase::Running,
            death: None,
        }
    }

    /// Runs the loop, ends the tree, reports.
    pub(super) fn until_end(mut self) -> ExitCode {
        // If this cannot be sent, the server is gone, which the loop notices.
        self.tell(&Event::Started(self.leader.as_raw()));
        loop {
            let left = reap(self.leader, &mut self.death);
            let now = Instant::now();
            if let Some(end) = self.advance(now, left != Left::Nobody) {
                return self.finish(end);
            }
            if let Some(end) = self.check_limits(now, left) {
                return self.finish(end);
            }
            match self.wait(now, left) {
                Ok(None) => {}
                Ok(Some(end)) => return self.finish(end),
                Err(ServerGone) => {
                    // Nobody is left to tell. Nothing may outlive the server.
                    self.kill_all();
                    return ExitCode::SUCCESS;
                }
            }
        }
    }

    /// The next phase, from what is known now. `Some`: the run is over.
    fn advance(&mut self, now: Instant, tree_alive: bool) -> Option<End> {
        let live = matches!(self.phase, Phase::Running | Phase::Kept);
        if live && now >= self.started + self.plan.launch.timeout {
            self.begin_end(End::TimedOut, now, self.plan.launch.grace);
        }
        match (self.phase, self.death) {
            (Phase::Ending { why, .. }, _) if !tree_alive => Some(why),
            (Phase::Ending { why, kill_at }, _) => (now >= kill_at).then_some(why),
            (_, Some(death)) if !tree_alive => Some(ended(death)),
            (Phase::Draining { until }, Some(death)) if now >= until => Some(ended(death)),
            (Phase::Running, Some(death)) => {
                self.phase = match self.plan.launch.leftovers {
                    Leftovers::Kill => Phase::Draining { until: now + self.plan.launch.drain },
                    Leftovers::Keep => {
                        self.tell(&Event::LeaderEnded(ended(death)));
                        Phase::Kept
                    }
                };
                None
            }
            (Phase::Running | Phase::Kept | Phase::Draining { .. }, _) => None,
        }
    }

    /// The end of a run that used more than it may. It ends whole, also where the kernel has killed
    /// one process of it or refused it a fork: what is left would only fail in stranger ways.
    fn check_limits(&mut self, now: Instant, left: Left) -> Option<End> {
        let reap = || reap_stopped(self.leader, &mut self.death);
        self.limits.check(now, self.scope.as_ref(), left, reap).map(End::LimitExceeded)
    }

    /// Asks the whole tree to end; it has `grace` to do so, and never longer than if its time had
    /// run out. Asked again, it can only end sooner.
    fn begin_end(&mut self, why: End, now: Instant, grace: Duration) {
        let launch = &self.plan.launch;
        let last = self.started + launch.timeout + launch.grace;
        let kill_at = (now + grace).min(last);
        let (why, kill_at) = match self.phase {
            Phase::Ending { why, kill_at: before } => (why, kill_at.min(before)),
            Phase::Running | Phase::Kept | Phase::Draining { .. } => (why, kill_at),
        };
        tree::signal_all(Signal::SIGTERM as i32, self.scope.as_ref());
        // A stopped process acts on the request only once it runs again.
        tree::signal_all(Signal::SIGCONT as i32, self.scope.as_ref());
        self.phase = Phase::Ending { why, kill_at };
    }

    /// Sleeps until something happens, unless there may be more to reap. `Some`: the run is to end at
    /// once.
    fn wait(&mut self, now: Instant, left: Left) -> Result<Option<End>, ServerGone> {
        let deadline = match self.phase {
            Phase::Running | Phase::Kept => self.started + self.plan.launch.timeout,
            Phase::Draining { until } => until,
            Phase::Ending { kill_at, .. } => kill_at,
        };
        let timeout = self.mediator.next_check(deadline.saturating_duration_since(now));
        let timeout = match left {
            Left::More => Duration::ZERO,
            Left::Alive | Left::Nobody => self.limits.next_check(now, timeout),
        };
        let mut fds = [
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.mediator.stalled_fd(), PollFlags::POLLIN),
        ];
        // Rounded up: waking just before the deadline would spin.
        let timeout = timeout + Duration::from_micros(999);
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, timeout).is_err() {
            return Ok(None);
        }
        let ready = |at: usize| fds.get(at).and_then(PollFd::any).unwrap_or(false);
        let (from_server, from_signals, stalled) = (ready(0), ready(1), ready(2));
        if from_signals {
            // One waits at most, however many have ended (signal(7)). Where they never stop ending,
            // the next one is there at once: it is for the next turn.
            let _read = self.signals.read_signal();
        }
        self.mediator.check(stalled);
        if from_server { self.read_orders() } else { Ok(None) }
    }

    /// Reads and carries out what the server asks for.
    fn read_orders(&mut self) -> Result<Option<End>, ServerGone> {
        let mut chunk = [0u8; 512];
        match nix::unistd::read(&self.control, &mut chunk) {
            Ok(0) => return Err(ServerGone),
            Ok(length) => self.orders.push(chunk.get(..length).unwrap_or_default()),
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Err(_) => return Err(ServerGone),
        }
        loop {
            match self.orders.next_message() {
                Ok(None) => return Ok(None),
                Ok(Some(order)) => {
                    if let Some(end) = self.carry_out(order) {
                        return Ok(Some(end));
                    }
                }
                Err(_) => return Err(ServerGone),
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Option<End> {
        match order {
            Order::Stop { grace } => {
                let grace = grace.unwrap_or(self.plan.launch.grace);
                self.begin_end(End::Cancelled, Instant::now(), grace);
            }
            Order::Kill(exceeded) => return Some(End::LimitExceeded(exceeded)),
            Order::Signal { signal, to: SignalTo::Tree } => {
                tree::signal_all(signal, self.scope.as_ref());
            }
            Order::Signal { signal, to: SignalTo::Leader } => {
                if self.death.is_none() {
                    tree::signal_one(self.leader, signal);
                }
            }
            // Asked when the run is over.
            Order::Infer(_) | Order::Confirm(_) => {}
            Order::Look => {
                let (denials, slowed) = self.mediator.so_far();
                let sight = look(self.input);
                self.tell(&Event::Sight { sight, denials, slowed });
            }
        }
        None
    }

    fn kill_all(&mut self) -> u32 {
        tree::kill_all(self.leader, &mut self.death, self.scope.as_ref())
    }

    /// Sends an event. If the server is gone, the next wait says so.
    fn tell(&self, event: &Event) {
        let _noticed_by_wait = send_event(&self.control, event);
    }

    fn finish(mut self, end: End) -> ExitCode {
        let leftover_killed = self.kill_all();
        let groups = self.limits.groups();
        let duration = self.started.elapsed();
        let usage = tree::usage();
        let exceeded = match end {
            End::LimitExceeded(exceeded) => Some(exceeded),
            End::Signaled(signal) => groups.exceeded().or(self.limits.behind(signal)),
            _ => groups.exceeded(),
        };
        let tree = self.scope.as_ref().map_or(TreeTier::Sweep, SignalScope::tier);
        let asked = confirms(&self.plan.basis.policy)
            || infers(&self.plan.basis.policy) && self.mediator.reads_unseen();
        let (denials, slowed) = self.mediator.finish();
        let changes = self.before.changes();
        let outcome = Outcome {
            end,
            leftover_killed,
            cpu: usage.cpu,
            peak_rss_bytes: usage.peak_rss_bytes,
            denials,
            slowed,
            duration,
            tree,
            exceeded,
            changed: changes.files,
            veiled: changes.folders,
        };
        let event = Event::Ended(outcome);
        if send_event(&self.control, &event).is_err() {
            return ExitCode::from(65);
        }
        if let (true, Event::Ended(outcome)) = (asked, event) {
            last_words(&self.control, self.orders, &self.plan, &outcome);
        }
        ExitCode::SUCCESS
    }
}

/// Waits for the server to have read what the command said, and answers what it asks about that.
fn last_words(control: &File, mut orders: Decoder<Order>, plan: &Plan, outcome: &Outcome) {
    let until = Instant::now() + LAST_WORDS;
    let mut chunk = [0u8; 4096];
    loop {
        match orders.next_message() {
            Ok(Some(Order::Infer(quoted))) => {
                let took_ms = u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX);
                let (policy, cwd, log) = (&plan.basis.policy, &plan.launch.cwd, &outcome.denials);
                let found = infer(Ran { policy, cwd, log, took_ms }, &quoted);
                // A server that is gone misses nothing.
                let _gone = send_event(control, &Event::Inferred(found));
                return;
            }
            Ok(Some(Order::Confirm(refusals))) => {
                let confirmed = confirm(&plan.basis.policy.fs, refusals);
                let _gone = send_event(control, &Event::Confirmed(confirmed));
                return;
            }
            // Came too late.
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(_) => return,
        }
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            Ok(1..) => {}
            Ok(_) | Err(_) => return,
        }
        match nix::unistd::read(control, &mut chunk) {
            Ok(length @ 1..) => orders.push(chunk.get(..length).unwrap_or_default()),
            Ok(_) | Err(_) => return,
        }
    }
}

fn ended(death: Death) -> End {
    match death {
        Death::Code(code) => End::Exited(code),
        Death::Signal(signal) => End::Signaled(signal),
    }
}
