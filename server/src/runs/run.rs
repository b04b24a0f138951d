//! One run, as calls see it: what it is, how far it is, what can be asked of it.

use super::input::{NoInput, Writer, Written};
use super::output::Output;
use super::streams::Size;
use super::view::OutputView;
use crate::sandbox::Sandbox;
use nono_sandbox::control::{End, Outcome, Sight, SignalTo};
use nono_sandbox::policy::{Exceeded, Resource};
use nono_sandbox::record::DenialLog;
use nono_sandbox::supervisor::SetupFailed;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How long a supervisor may take to look at its tree.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);

/// What is known of a run from its start on.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Its name: `r-` and 128 random bits.
    pub(crate) id: String,
    /// The command, short enough for a list.
    pub(crate) label: String,
    /// What is run: the zeroth argument and the others.
    pub(crate) argv: Vec<Vec<u8>>,
    /// The wall-clock limit.
    pub(crate) timeout: Duration,
    /// When its supervisor was told to start it; from then on its time runs.
    pub(crate) started: Instant,
}

impl Identity {
    /// How long it may still go on.
    pub(crate) fn time_left(&self, now: Instant) -> Duration {
        (self.started + self.timeout).saturating_duration_since(now)
    }
}

/// How far a run is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// The sandbox is being built, or the command runs.
    Live,
    /// The first process is gone, what it left goes on.
    LeaderEnded(End),
    /// It is over.
    Over(Arc<Finished>),
}

impl State {
    /// How it ended, if it has.
    pub(crate) fn finished(&self) -> Option<&Finished> {
        match self {
            Self::Over(finished) => Some(finished),
            Self::Live | Self::LeaderEnded(_) => None,
        }
    }
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) ended: Ended,
    /// From the hand-over to the end, as the server saw it.
    pub(crate) wall: Duration,
}

impl Finished {
    /// What the supervisor reported, if it did.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.ended {
            Ended::Outcome(outcome) => Some(outcome),
            Ended::Refused(_) | Ended::Cut | Ended::Lost(_) | Ended::Overrun(_) => None,
        }
    }

    /// The limit that ran out, if one did.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        match &self.ended {
            Ended::Outcome(outcome) => outcome.exceeded,
            Ended::Overrun(exceeded) => Some(*exceeded),
            Ended::Refused(_) | Ended::Cut | Ended::Lost(_) => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The supervisor reported this.
    Outcome(Box<Outcome>),
    /// The sandbox could not be built in full, so nothing ran.
    Refused(SetupFailed),
    /// The server shut down and cut the run off.
    Cut,
    /// The supervisor ended without a report; its tree was killed.
    Lost(String),
    /// The kernel, which killed its processes for this limit, took the supervisor along; the rest of
    /// the tree was killed. That happens where memory belongs to no process (`memfd_create(2)`,
    /// files on a tmpfs), so that killing one frees none.
    Overrun(Exceeded),
}

/// What a supervisor sees of a run that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The tree.
    pub(crate) sight: Sight,
    /// What was refused so far.
    pub(crate) denials: DenialLog,
    /// Mediated calls that had to wait for a token.
    pub(crate) slowed: u64,
}

/// What calls ask of a run.
#[derive(Debug)]
pub(super) enum Ask {
    /// To end.
    Stop {
        /// Time between SIGTERM and SIGKILL, if not the usual one.
        grace: Option<Duration>,
    },
    /// To pass a signal on.
    Signal {
        /// Its number.
        signal: i32,
        /// To whom.
        to: SignalTo,
    },
    /// To look at its tree.
    Look(oneshot::Sender<Snapshot>),
}

/// A run. Shared by its driver, the registry and the calls about it.
#[derive(Debug)]
pub(crate) struct Run {
    /// What it is.
    pub(crate) identity: Identity,
    /// What it may do.
    pub(crate) sandbox: Arc<Sandbox>,
    pub(super) output: Arc<Output>,
    pub(super) writer: Writer,
    pub(super) state: watch::Sender<State>,
    pub(super) asks: mpsc::UnboundedSender<Ask>,
    /// The position up to which answers have shown the output.
    pub(super) shown: AtomicU64,
}

impl Run {
    /// How far it is.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.state.borrow().finished().is_some()
    }

    /// When it was over, if it is.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.state.borrow().finished().map(|finished| self.identity.started + finished.wall)
    }

    /// Waits until it is over.
    pub(crate) async fn over(&self) {
        let mut state = self.state.subscribe();
        // The sender is part of `self`, so it cannot be gone.
        let _over = state.wait_for(|state| state.finished().is_some()).await;
    }

    /// Waits until there is output behind `seq`.
    pub(crate) async fn output_after(&self, seq: u64) {
        let mut total = self.output.total();
        let _grown = total.wait_for(|total| *total > seq).await;
    }

    /// The position behind the last byte of output.
    pub(crate) fn total(&self) -> u64 {
        *self.output.total().borrow()
    }

    /// Whether there is more output than `most`.
    pub(super) fn output_over(&self, most: Option<u64>) -> Option<Exceeded> {
        let limit = most.filter(|most| self.total() > *most)?;
        Some(Exceeded { resource: Resource::Output, limit })
    }

    /// The output so far.
    pub(crate) fn view(&self) -> OutputView {
        self.output.view()
    }

    /// Up to where answers have shown the output.
    pub(crate) fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Answers have shown the output up to here.
    pub(crate) fn show(&self, seq: u64) {
        self.shown.fetch_max(seq, Ordering::Relaxed);
    }

    /// Asks it to end.
    pub(crate) fn stop(&self, grace: Option<Duration>) {
        self.ask(Ask::Stop { grace });
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: i32, to: SignalTo) {
        self.ask(Ask::Signal { signal, to });
    }

    /// What its processes are doing; `None` if it is over, or too busy to say.
    pub(crate) async fn look(&self) -> Option<Snapshot> {
        let (tell, told) = oneshot::channel();
        self.ask(Ask::Look(tell));
        tokio::time::timeout(LOOK_PATIENCE, told).await.ok()?.ok()
    }

    /// Whether it may wait for somebody to write to it.
    pub(crate) fn takes_input(&self) -> bool {
        self.writer.is_open()
    }

    /// Whether its input is a terminal.
    pub(crate) fn has_terminal(&self) -> bool {
        self.writer.is_terminal()
    }

    /// Writes to its input.
    pub(crate) async fn write(
        &self,
        bytes: &[u8],
        close: bool,
        patience: Duration,
    ) -> Result<Written, NoInput> {
        self.writer.write(bytes, close, patience).await
    }

    /// Changes the size of its terminal; `false` if it has none.
    pub(crate) fn resize(&self, size: Size) -> bool {
        self.writer.resize(size)
    }

    /// A run that is over asks for nothing any more.
    fn ask(&self, ask: Ask) {
        let _over = self.asks.send(ask);
    }
}
