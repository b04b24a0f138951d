//! Calls that block or take long, so that none holds up another (requirement U8).
//!
//! While a leader has a call in hand a timer runs. If what may block outlasts [`PATIENCE`], or a call
//! as a whole [`SLOW`], the main loop puts a stand-in in the leader's place, which then ends after its
//! call. Any call can be slow: paths lead to file systems behind a network. Setting a timer costs as
//! much as a small call, so one that runs is left alone if it is soon enough: the main loop looks
//! when it ends and sets it again for the rest. Once calls do block, later ones get a stand-in at
//! once, so that five hundred of them do not wait for five hundred timers.

use super::caller::Caller;
use super::leader::{Leadership, State, stand_in};
use super::listener::{ERESTARTSYS, MediatedCall};
use super::turn::Turn;
use super::{Shared, lock};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a leader may be in an act that may block before a stand-in takes over.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long a leader may be in anything else.
pub(super) const SLOW: Duration = Duration::from_millis(10);
/// How often blocked calls are checked for signals and dead callers.
const TICK: Duration = Duration::from_millis(10);
/// A signal for the process as a whole that nobody took for this long is meant for our caller.
const UNCLAIMED: Duration = Duration::from_millis(50);

/// A call that was received and is not yet answered and recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallInHand {
    /// Its notification.
    pub(super) id: u64,
    /// The thread that performs it.
    helper: i32,
    /// Whether that thread leads, so that others wait for it.
    pub(super) leading: bool,
    since: Instant,
    /// An act that may block, while it lasts.
    act: Option<Act>,
}

/// An act that may block.
#[derive(Debug, Clone, Copy)]
struct Act {
    since: Instant,
    interrupted: bool,
    caller_tid: i32,
}

impl CallInHand {
    /// Just received, by the leader `helper`.
    pub(super) fn new(id: u64, helper: i32) -> Self {
        Self { id, helper, leading: true, since: Instant::now(), act: None }
    }

    /// How much longer others may wait for it.
    fn patience(&self) -> Duration {
        let of_call = SLOW.saturating_sub(self.since.elapsed());
        self.act.map_or(of_call, |act| PATIENCE.saturating_sub(act.since.elapsed()))
    }
}

impl State {
    /// Whether an act outlasted the patience with it and is not through yet. Not whether there are
    /// former leaders: one that has just answered is still there when its caller calls again, which
    /// would get that call a stand-in as well, and so on.
    fn is_any_blocked(&self) -> bool {
        self.calls.iter().any(|call| !call.leading && call.act.is_some())
    }
}

/// How a blocking call ended, where not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// With this error.
    Failed(Errno),
    /// A signal is pending for the caller: restart or `EINTR`, as its handler asks for.
    Restart,
    /// The caller died.
    CallerGone,
}

impl From<Errno> for Interrupted {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl Turn<'_> {
    /// Performs a call on a socket, which may block unless the socket says otherwise. While nobody
    /// is blocked it is not even asked: being watched is cheaper.
    pub(super) fn on_socket<T>(
        &self,
        socket: BorrowedFd<'_>,
        act: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Interrupted> {
        let others_blocked = lock(&self.shared.leadership.state).is_any_blocked();
        if others_blocked {
            let flags = fcntl(socket, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
            if flags.is_ok_and(|f| f.contains(OFlag::O_NONBLOCK)) {
                return act().map_err(Interrupted::Failed);
            }
        }
        self.may_block(act)
    }

    /// Performs a call that may block, for as long as its caller waits for it.
    pub(super) fn may_block<T>(
        &self,
        act: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Interrupted> {
        self.enter();
        let result = loop {
            match act() {
                Err(Errno::EINTR) if self.is_interrupted() => {
                    break Err(self.why_interrupted());
                }
                Err(Errno::EINTR) => {}
                other => break other.map_err(Interrupted::Failed),
            }
        };
        self.leave();
        result
    }

    fn is_interrupted(&self) -> bool {
        let mut state = lock(&self.shared.leadership.state);
        state.call(self.caller.id()).and_then(|call| call.act).is_some_and(|act| act.interrupted)
    }

    fn why_interrupted(&self) -> Interrupted {
        let caller = &self.caller;
        match (caller.still_waits(), caller.status()) {
            (Ok(_), Ok(status)) if status.is_certain_for(caller.tid()) => Interrupted::Restart,
            // A call is restarted only where the kernel finds a signal: not on a guess.
            (Ok(_), Ok(_)) => Interrupted::Failed(Errno::EINTR),
            (Ok(_), Err(errno)) if errno != Errno::ESRCH => Interrupted::Failed(Errno::EINTR),
            _ => Interrupted::CallerGone,
        }
    }

    fn enter(&self) {
        let leadership = &self.shared.leadership;
        let mut state = lock(&leadership.state);
        if state.is_any_blocked() || !leadership.watch(&mut state, PATIENCE) {
            stand_in(self.shared, &mut state, self.caller.id());
        }
        if let Some(call) = state.call(self.caller.id()) {
            let caller_tid = self.caller.tid();
            call.act = Some(Act { since: Instant::now(), interrupted: false, caller_tid });
        }
    }

    fn leave(&self) {
        if let Some(call) = lock(&self.shared.leadership.state).call(self.caller.id()) {
            call.act = None;
        }
    }
}

impl Leadership {
    pub(super) fn next_check(&self) -> Option<Duration> {
        lock(&self.state).calls.iter().any(|call| call.act.is_some()).then_some(TICK)
    }

    /// Has the timer end in `most` at the latest. Whether it does.
    pub(super) fn watch(&self, state: &mut State, most: Duration) -> bool {
        let latest = Instant::now() + most;
        if state.watched.is_none_or(|end| end > latest) {
            state.watched = self.arm(most).is_ok().then_some(latest);
        }
        state.watched.is_some()
    }

    fn arm(&self, after: Duration) -> Result<(), Errno> {
        let once = Expiration::OneShot(TimeSpec::from_duration(after));
        self.timer.set(once, TimerSetTimeFlags::empty())
    }
}

/// Answers a call. One whose caller is gone has nobody to answer.
pub(super) fn conclude(call: MediatedCall<'_>, result: Result<i64, Interrupted>) {
    match result {
        Ok(value) => call.answer(Ok(value)),
        Err(Interrupted::Failed(errno)) => call.answer(Err(errno as i32)),
        Err(Interrupted::Restart) => call.answer(Err(ERESTARTSYS)),
        Err(Interrupted::CallerGone) => drop(call),
    }
}

/// The main loop's part: see the module's description.
pub(super) fn check(shared: &Arc<Shared>, stalled: bool) {
    if stalled {
        // Reading makes it quiet until it is set again.
        let mut expirations = [0u8; 8];
        let _quiet = nix::unistd::read(shared.leadership.timer.as_fd(), &mut expirations);
        look_after_leaders(shared);
    }
    let calls = lock(&shared.leadership.state).calls.clone();
    for (call, act) in calls.iter().filter_map(|call| Some((call, call.act?))) {
        if act.since.elapsed() >= TICK && must_be_released(shared, call.id, act) {
            if let Some(act) =
                lock(&shared.leadership.state).call(call.id).and_then(|c| c.act.as_mut())
            {
                act.interrupted = true;
            }
            // Repeated at the next tick: the signal may come just before the call blocks.
            let _ended = sys::interrupt_thread(call.helper);
        }
    }
}

/// The timer ended: leaders are stuck, or in later calls than the one it was set for, or in none.
fn look_after_leaders(shared: &Arc<Shared>) {
    let mut state = lock(&shared.leadership.state);
    let stuck = |call: &CallInHand| call.leading && call.patience().is_zero();
    let stuck: Vec<u64> = state.calls.iter().filter(|c| stuck(c)).map(|call| call.id).collect();
    stuck.into_iter().for_each(|id| stand_in(shared, &mut state, id));
    // Where no stand-in can be had now, there may be one later.
    let rests = state.calls.iter().filter(|call| call.leading).map(|call| match call.patience() {
        Duration::ZERO => TICK,
        rest => rest,
    });
    let next = rests.min();
    state.watched = None;
    if let Some(rest) = next {
        shared.leadership.watch(&mut state, rest);
    }
}

/// Whether the caller died, or has a signal to handle before its call is done.
fn must_be_released(shared: &Shared, id: u64, act: Act) -> bool {
    let Some(caller) = Caller::new(&shared.listener, id, act.caller_tid) else { return true };
    released(&caller, act.since).is_err()
}

/// Nothing, for as long as there is somebody to wait for: the caller lives, and has no signal to
/// handle before its call is done.
pub(super) fn released(caller: &Caller<'_>, since: Instant) -> Result<(), Interrupted> {
    let status = match (caller.still_waits(), caller.status()) {
        (Ok(_), Ok(status)) => status,
        // Nothing can be told now (`EMFILE`, `ENFILE`, `ENOMEM`): it is asked again at the next tick.
        (Ok(_), Err(errno)) if errno != Errno::ESRCH => return Ok(()),
        _ => return Err(Interrupted::CallerGone),
    };
    if status.is_certain_for(caller.tid()) {
        Err(Interrupted::Restart)
    } else if status.shared_signals != 0 && since.elapsed() > UNCLAIMED {
        Err(Interrupted::Failed(Errno::EINTR))
    } else {
        Ok(())
    }
}
