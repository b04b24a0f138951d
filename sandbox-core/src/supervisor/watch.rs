//! The main loop of a supervisor: waits for the command, the server and the clock.

use super::bootstrap::Running;
use super::mediate::Mediator;
use super::tree::{self, Death};
use crate::control::{End, Event, Outcome, STOP, send_event};
use crate::plan::Plan;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Where a run is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first process lives.
    Running,
    /// It is gone; what it left may finish until then.
    Draining { until: Instant },
    /// Asked to end; SIGKILL then.
    Ending { why: End, kill_at: Instant },
}

/// Why the loop woke up.
#[derive(Debug, Clone, Copy, Default)]
struct Wake {
    stop: bool,
    server_gone: bool,
}

/// A running command and everything that watches it.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    leader: Pid,
    mediator: Mediator,
    signals: SignalFd,
    started: Instant,
    phase: Phase,
    death: Option<Death>,
}

impl Watch {
    /// Blocks SIGCHLD and makes it readable. Before anything is started that could die.
    pub(super) fn child_signals() -> Result<SignalFd, Errno> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
    }

    pub(super) fn new(plan: Plan, running: Running, mediator: Mediator, signals: SignalFd) -> Self {
        let (leader, started) = (running.leader, Instant::now());
        Self { plan, leader, mediator, signals, started, phase: Phase::Running, death: None }
    }

    /// Runs the loop, ends the tree, reports.
    pub(super) fn until_end(mut self, control: OwnedFd) -> ExitCode {
        loop {
            let tree_alive = tree::reap(self.leader, &mut self.death);
            let now = Instant::now();
            if let Some(end) = self.advance(now, tree_alive) {
                return self.finish(control, end);
            }
            let wake = self.wait(control.as_fd(), now);
            if wake.server_gone {
                // Nobody is left to tell. Nothing may outlive the server.
                tree::kill_all(self.leader, &mut self.death);
                return ExitCode::SUCCESS;
            }
            if wake.stop {
                self.begin_end(End::Cancelled, Instant::now());
            }
        }
    }

    /// The next phase, from what is known now. `Some`: the run is over.
    fn advance(&mut self, now: Instant, tree_alive: bool) -> Option<End> {
        if self.phase == Phase::Running && now >= self.started + self.plan.timeout {
            self.begin_end(End::TimedOut, now);
        }
        match (self.phase, self.death) {
            (Phase::Ending { why, .. }, _) if !tree_alive => Some(why),
            (Phase::Ending { why, kill_at }, _) => (now >= kill_at).then_some(why),
            (_, Some(death)) if !tree_alive => Some(ended(death)),
            (Phase::Draining { until }, Some(death)) if now >= until => Some(ended(death)),
            (Phase::Running, Some(_)) => {
                self.phase = Phase::Draining { until: now + self.plan.drain };
                None
            }
            (Phase::Running | Phase::Draining { .. }, _) => None,
        }
    }

    /// Asks the whole tree to end; it has the plan's grace to do so.
    fn begin_end(&mut self, why: End, now: Instant) {
        if matches!(self.phase, Phase::Ending { .. }) {
            return;
        }
        tree::signal_all(Signal::SIGTERM);
        // A stopped process acts on the request only once it runs again.
        tree::signal_all(Signal::SIGCONT);
        self.phase = Phase::Ending { why, kill_at: now + self.plan.grace };
    }

    /// Sleeps until something happens.
    fn wait(&mut self, control: BorrowedFd<'_>, now: Instant) -> Wake {
        let deadline = match self.phase {
            Phase::Running => self.started + self.plan.timeout,
            Phase::Draining { until } => until,
            Phase::Ending { kill_at, .. } => kill_at,
        };
        let timeout = self.mediator.next_check(now, deadline.saturating_duration_since(now));
        let mut fds = [
            PollFd::new(control, PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.mediator.stalled_fd(), PollFlags::POLLIN),
        ];
        // Rounded up: waking just before the deadline would spin.
        let timeout = timeout + Duration::from_micros(999);
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, timeout).is_err() {
            return Wake::default();
        }
        let ready = |at: usize| fds.get(at).and_then(PollFd::any).unwrap_or(false);
        let (from_server, from_signals, stalled) = (ready(0), ready(1), ready(2));
        if from_signals {
            while matches!(self.signals.read_signal(), Ok(Some(_))) {}
        }
        self.mediator.check(stalled);
        if from_server { read_control(control) } else { Wake::default() }
    }

    fn finish(mut self, control: OwnedFd, end: End) -> ExitCode {
        let leftover_killed = tree::kill_all(self.leader, &mut self.death);
        let duration = self.started.elapsed();
        let usage = tree::usage();
        let (denials, slowed) = self.mediator.finish();
        let outcome = Outcome {
            end,
            leftover_killed,
            cpu: usage.cpu,
            peak_rss_bytes: usage.peak_rss_bytes,
            denials,
            slowed,
            duration,
        };
        match send_event(File::from(control), &Event::Ended(outcome)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(65),
        }
    }
}

fn ended(death: Death) -> End {
    match death {
        Death::Code(code) => End::Exited(code),
        Death::Signal(signal) => End::Signaled(signal),
    }
}

/// One byte from the server, or its end.
fn read_control(control: BorrowedFd<'_>) -> Wake {
    let mut byte = [0u8];
    match nix::unistd::read(control, &mut byte) {
        Ok(0) => Wake { server_gone: true, ..Wake::default() },
        Ok(_) => Wake { stop: byte == [STOP], ..Wake::default() },
        Err(Errno::EINTR | Errno::EAGAIN) => Wake::default(),
        Err(_) => Wake { server_gone: true, ..Wake::default() },
    }
}
