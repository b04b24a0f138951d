//! Calls that may block, so that none holds up another (requirement U8).
//!
//! While a leader acts a timer runs; if one act outlasts [`PATIENCE`], the main loop puts a
//! stand-in in its place and the old leader ends after its call. Setting a timer costs as much as a
//! small call, so one that runs is left alone: the main loop looks when it ends and sets it again
//! for the rest. Once calls do block, later ones get a stand-in at once, so that five hundred of
//! them do not wait for five hundred timers.

use super::caller::Caller;
use super::leader::{Leadership, State, Turn, stand_in};
use super::listener::{ERESTARTSYS, MediatedCall};
use super::{Shared, lock};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a leader may be in a call before a stand-in takes over.
const PATIENCE: Duration = Duration::from_millis(1);
/// How often blocked calls are checked for signals and dead callers.
const TICK: Duration = Duration::from_millis(10);
/// A signal for the process as a whole that nobody took for this long is meant for our caller.
const UNCLAIMED: Duration = Duration::from_millis(50);

/// A call that may be blocking.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockingCall {
    /// Its notification.
    id: u64,
    /// The thread that performs it.
    helper: i32,
    /// Whether that thread leads, so that others wait for it.
    leading: bool,
    since: Instant,
    interrupted: bool,
    caller_tid: i32,
}

impl State {
    /// Whether a call outlasted the patience with it and is not through yet. Not whether there are
    /// former leaders: one that has just answered is still there when its caller calls again, which
    /// would get that call a stand-in as well, and so on.
    fn is_any_blocked(&self) -> bool {
        self.calls.iter().any(|call| !call.leading)
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

impl Turn<'_> {
    /// Performs a call on a socket, which may block unless the socket says otherwise. While nobody
    /// is blocked it is not even asked: being watched is cheaper.
    pub(super) fn on_socket<T>(
        &mut self,
        caller: &Caller<'_>,
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
        self.may_block(caller, act)
    }

    /// Performs a call that may block, for as long as its caller waits for it.
    pub(super) fn may_block<T>(
        &mut self,
        caller: &Caller<'_>,
        act: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Interrupted> {
        self.enter(caller);
        let result = loop {
            match act() {
                Err(Errno::EINTR) if self.is_interrupted(caller.id()) => {
                    break Err(self.why_interrupted(caller));
                }
                Err(Errno::EINTR) => {}
                other => break other.map_err(Interrupted::Failed),
            }
        };
        self.leave(caller.id());
        result
    }

    fn is_interrupted(&self, id: u64) -> bool {
        lock(&self.shared.leadership.state).calls.iter().any(|c| c.id == id && c.interrupted)
    }

    fn why_interrupted(&self, caller: &Caller<'_>) -> Interrupted {
        match (caller.still_waits(), caller.status()) {
            (Ok(_), Ok(status)) if status.is_certain_for(caller.tid()) => Interrupted::Restart,
            (Ok(_), Ok(_)) => Interrupted::Failed(Errno::EINTR),
            _ => Interrupted::CallerGone,
        }
    }

    fn enter(&mut self, caller: &Caller<'_>) {
        let leadership = &self.shared.leadership;
        let mut state = lock(&leadership.state);
        if self.leading && (state.is_any_blocked() || leadership.watch(&mut state).is_err()) {
            self.leading = !stand_in(self.shared, &mut state);
        }
        state.calls.push(BlockingCall {
            id: caller.id(),
            helper: self.thread,
            leading: self.leading,
            since: Instant::now(),
            interrupted: false,
            caller_tid: caller.tid(),
        });
    }

    fn leave(&mut self, id: u64) {
        let mut state = lock(&self.shared.leadership.state);
        let mine = state.calls.iter().position(|call| call.id == id);
        // The main loop may have put a stand-in in our place.
        self.leading = mine.is_some_and(|at| state.calls.swap_remove(at).leading);
    }
}

impl Leadership {
    pub(super) fn next_check(&self) -> Option<Duration> {
        (!lock(&self.state).calls.is_empty()).then_some(TICK)
    }

    /// Has the timer run.
    fn watch(&self, state: &mut State) -> Result<(), Errno> {
        if !state.watched {
            self.arm(PATIENCE)?;
            state.watched = true;
        }
        Ok(())
    }

    fn arm(&self, after: Duration) -> Result<(), Errno> {
        let once = Expiration::OneShot(TimeSpec::from_duration(after));
        self.timer.set(once, TimerSetTimeFlags::empty())
    }
}

/// Answers a call that returns nothing but success. One whose caller is gone has nobody to answer.
pub(super) fn conclude(call: MediatedCall<'_>, result: Result<(), Interrupted>) {
    match result {
        Ok(()) => call.answer(Ok(0)),
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
    for call in calls {
        if call.since.elapsed() >= TICK && must_be_released(shared, call) {
            let mut state = lock(&shared.leadership.state);
            state.calls.iter_mut().filter(|c| c.id == call.id).for_each(|c| c.interrupted = true);
            drop(state);
            // Repeated at the next tick: the signal may come just before the call blocks.
            let _ended = sys::interrupt_thread(call.helper);
        }
    }
}

/// The timer ended: leaders are stuck, or in later calls than the one it was set for, or in none.
fn look_after_leaders(shared: &Arc<Shared>) {
    let mut state = lock(&shared.leadership.state);
    let mut calls = std::mem::take(&mut state.calls);
    let rests = calls.iter_mut().filter(|call| call.leading).filter_map(|call| {
        match PATIENCE.saturating_sub(call.since.elapsed()) {
            Duration::ZERO if stand_in(shared, &mut state) => {
                call.leading = false;
                None
            }
            // Where no stand-in can be had now, there may be one later.
            Duration::ZERO => Some(TICK),
            rest => Some(rest),
        }
    });
    let next = rests.min();
    state.calls = calls;
    state.watched = next.is_some_and(|rest| shared.leadership.arm(rest).is_ok());
}

/// Whether the caller died, or has a signal to handle before its call is done.
fn must_be_released(shared: &Shared, call: BlockingCall) -> bool {
    let data = sys::NotificationData { id: call.id, tid: call.caller_tid, nr: 0, args: [0; 6] };
    let Some(caller) = Caller::new(&shared.listener, &data) else { return true };
    released(&caller, call.since).is_err()
}

/// Nothing, for as long as there is somebody to wait for: the caller lives, and has no signal to
/// handle before its call is done.
pub(super) fn released(caller: &Caller<'_>, since: Instant) -> Result<(), Interrupted> {
    let (Ok(_), Ok(status)) = (caller.still_waits(), caller.status()) else {
        return Err(Interrupted::CallerGone);
    };
    if status.is_certain_for(caller.tid()) {
        Err(Interrupted::Restart)
    } else if status.shared_signals != 0 && since.elapsed() > UNCLAIMED {
        Err(Interrupted::Failed(Errno::EINTR))
    } else {
        Ok(())
    }
}
