//! Who answers notifications, so that no blocked call holds up another (requirement U8).
//!
//! One thread, the *leader*, receives, acts and answers: with `SYNC_WAKE_UP` that is several times
//! faster than handing work over. While it acts a timer runs; if one act outlasts [`PATIENCE`], the
//! main loop puts a stand-in in its place and the old leader ends after its call. Setting a timer
//! costs as much as a small call, so one that runs is left alone: the main loop looks when it ends
//! and sets it again for the rest. Once calls do block, later ones get a stand-in at once, so that
//! five hundred of them do not wait for five hundred timers.

use super::caller::Caller;
use super::connect;
use super::listener::{ERESTARTSYS, MediatedCall, Notification};
use super::{Shared, attributes, bind, lock, network, notice, send, signal};
use crate::filter::Mediated;
use crate::rate::{Charge, Family, charge};
use crate::supervisor::observe;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a leader may be in a call before a stand-in takes over.
const PATIENCE: Duration = Duration::from_millis(1);
/// How often blocked calls are checked for signals and dead callers.
const TICK: Duration = Duration::from_millis(10);
/// Threads that may be blocked at once. Beyond it callers wait their turn, which delays only their
/// own run.
const MAX_BLOCKED: usize = 2048;
/// A signal for the process as a whole that nobody took for this long is meant for our caller.
const UNCLAIMED: Duration = Duration::from_millis(50);
const STACK: usize = 128 << 10;

/// Roles of the mediating threads of one run.
#[derive(Debug)]
pub(super) struct Leadership {
    timer: TimerFd,
    state: Mutex<State>,
    idle: Condvar,
    slowed: AtomicU64,
    /// Held by the one caller that waits for the next token; the others wait for it. Without, all
    /// of them would wake for each token and all but one go back to sleep.
    queue: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the thread that leads.
    leader: u64,
    /// Since when it is in a call that may block.
    acting: Option<Instant>,
    /// Whether the timer runs.
    watched: bool,
    /// Calls received and not yet answered and recorded.
    busy: usize,
    /// Former leaders, still in their call.
    former: usize,
    /// Whether somebody waits for `busy` to be none.
    finishing: bool,
    /// Calls that may be blocking. Seldom more than one.
    calls: Vec<BlockingCall>,
}

/// A call that may be blocking.
#[derive(Debug, Clone, Copy)]
struct BlockingCall {
    /// Its notification.
    id: u64,
    helper: i32,
    since: Instant,
    interrupted: bool,
    caller_tid: i32,
}

impl Leadership {
    pub(super) fn new() -> io::Result<Self> {
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        Ok(Self {
            timer,
            state: Mutex::default(),
            idle: Condvar::new(),
            slowed: AtomicU64::new(0),
            queue: Mutex::default(),
        })
    }

    pub(super) fn stalled_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    pub(super) fn next_check(&self) -> Option<Duration> {
        (!lock(&self.state).calls.is_empty()).then_some(TICK)
    }

    pub(super) fn slowed(&self) -> u64 {
        self.slowed.load(Ordering::Relaxed)
    }

    /// Waits until every received call is recorded. The tree is dead, so none is blocked for long.
    pub(super) fn wait_until_idle(&self) {
        const MOST: Duration = Duration::from_secs(1);
        let mut state = lock(&self.state);
        state.finishing = true;
        drop(
            self.idle
                .wait_timeout_while(state, MOST, |s| s.busy > 0)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn arm(&self, after: Duration) -> Result<(), Errno> {
        let once = Expiration::OneShot(TimeSpec::from_duration(after));
        self.timer.set(once, TimerSetTimeFlags::empty())
    }
}

/// Starts the first leader.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    spawn(shared, 0)
}

fn spawn(shared: &Arc<Shared>, number: u64) -> io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("mediator".into())
        .stack_size(STACK)
        .spawn(move || lead(&shared, number))
        .map(|_| ())
}

/// One thread's time as leader.
fn lead(shared: &Arc<Shared>, number: u64) {
    let thread = sys::thread_id();
    while let Some(notification) = shared.listener.receive() {
        lock(&shared.leadership.state).busy += 1;
        let mut turn = Turn { shared, number, thread, leading: true };
        match notification {
            Notification::Mediated(call) => match call.call {
                Mediated::Connect => connect::perform(&mut turn, call),
                Mediated::Bind => bind::perform(&mut turn, call),
                Mediated::Listen => network::perform_listen(&mut turn, call),
                Mediated::SendTo | Mediated::SendMsg | Mediated::SendMmsg => {
                    send::perform(&mut turn, call);
                }
                Mediated::Kill
                | Mediated::Tkill
                | Mediated::Tgkill
                | Mediated::SigQueue
                | Mediated::ThreadSigQueue
                | Mediated::PidfdSignal => signal::perform(&turn, call),
                Mediated::Attribute(what) => attributes::perform(&mut turn, call, what),
                Mediated::Watch => notice::watch(&turn, call),
                Mediated::Lock => notice::lock(&mut turn, call),
            },
            Notification::Observed(call) => observe::look(shared, call),
            Notification::Refused(call) => observe::refuse(shared, call),
        }
        let leading = turn.leading;
        let mut state = lock(&shared.leadership.state);
        state.busy -= 1;
        if state.busy == 0 && state.finishing {
            shared.leadership.idle.notify_all();
        }
        if !leading {
            state.former -= 1;
            return;
        }
    }
}

/// A leader with a call in hand.
#[derive(Debug)]
pub(super) struct Turn<'s> {
    pub(super) shared: &'s Arc<Shared>,
    number: u64,
    /// Id of this thread.
    thread: i32,
    leading: bool,
}

impl Turn<'_> {
    /// Pays for a call, if calls of its family cost something.
    pub(super) fn pay_for(&mut self, family: Family) {
        if charge(self.shared.charged, family) == Charge::One {
            self.pay();
        }
    }

    /// Waits for a token if there is none. Only callers whose call is charged wait, each for
    /// itself: a stand-in goes on answering.
    fn pay(&mut self) {
        if self.shared.bucket.take().is_none() {
            return;
        }
        self.shared.leadership.slowed.fetch_add(1, Ordering::Relaxed);
        self.step_aside();
        let _first_in_line = lock(&self.shared.leadership.queue);
        while let Some(wait) = self.shared.bucket.take() {
            std::thread::sleep(wait);
        }
    }

    /// Performs a call on a socket, which may block unless the socket says otherwise. While nobody
    /// is blocked it is not even asked: being watched is cheaper.
    pub(super) fn on_socket<T>(
        &mut self,
        caller: &Caller<'_>,
        socket: BorrowedFd<'_>,
        act: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Interrupted> {
        let others_blocked = lock(&self.shared.leadership.state).former > 0;
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
        let since = Instant::now();
        let call = BlockingCall {
            id: caller.id(),
            helper: self.thread,
            since,
            interrupted: false,
            caller_tid: caller.tid(),
        };
        let (blocked, watched) = {
            let mut state = lock(&self.shared.leadership.state);
            state.calls.push(call);
            if !self.leading {
                return;
            }
            state.acting = Some(since);
            (state.former > 0, std::mem::replace(&mut state.watched, true))
        };
        let unwatched = !watched && self.shared.leadership.arm(PATIENCE).is_err();
        if blocked || unwatched {
            self.step_aside();
        }
    }

    fn leave(&mut self, id: u64) {
        let mut state = lock(&self.shared.leadership.state);
        state.calls.retain(|call| call.id != id);
        if self.leading && state.leader == self.number {
            state.acting = None;
        } else {
            self.leading = false;
        }
    }

    /// Lets a stand-in lead from now on; this thread ends after its call.
    fn step_aside(&mut self) {
        if self.leading && promote(self.shared, self.number) {
            self.leading = false;
        }
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

/// Answers a call that returns nothing but success. One whose caller is gone has nobody to answer.
pub(super) fn conclude(call: MediatedCall<'_>, result: Result<(), Interrupted>) {
    match result {
        Ok(()) => call.answer(Ok(0)),
        Err(Interrupted::Failed(errno)) => call.answer(Err(errno as i32)),
        Err(Interrupted::Restart) => call.answer(Err(ERESTARTSYS)),
        Err(Interrupted::CallerGone) => drop(call),
    }
}

/// Starts a stand-in for leader `number`, if that one still leads.
fn promote(shared: &Arc<Shared>, number: u64) -> bool {
    let mut state = lock(&shared.leadership.state);
    if state.leader != number || state.former >= MAX_BLOCKED || spawn(shared, number + 1).is_err() {
        return false;
    }
    state.leader = number + 1;
    state.acting = None;
    state.watched = false;
    state.former += 1;
    true
}

/// The main loop's part: see the module's description.
pub(super) fn check(shared: &Arc<Shared>, stalled: bool) {
    if stalled {
        // Reading makes it quiet until it is set again.
        let mut expirations = [0u8; 8];
        let _quiet = nix::unistd::read(shared.leadership.timer.as_fd(), &mut expirations);
        look_after_leader(shared);
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

/// The timer ended: the leader is stuck, or in a later call than the one it was set for, or in none.
fn look_after_leader(shared: &Arc<Shared>) {
    let leadership = &shared.leadership;
    let (leader, acting) = {
        let mut state = lock(&leadership.state);
        state.watched = state.acting.is_some();
        (state.leader, state.acting)
    };
    let Some(since) = acting else { return };
    let rest = PATIENCE.saturating_sub(since.elapsed());
    // Where no stand-in can be had now, there may be one later.
    let again = match rest {
        Duration::ZERO if promote(shared, leader) => return,
        Duration::ZERO => TICK,
        rest => rest,
    };
    if leadership.arm(again).is_err() {
        lock(&leadership.state).watched = false;
    }
}

/// Whether the caller died, or has a signal to handle before its call is done.
fn must_be_released(shared: &Shared, call: BlockingCall) -> bool {
    let data = sys::NotificationData { id: call.id, tid: call.caller_tid, nr: 0, args: [0; 6] };
    let Some(caller) = Caller::new(&shared.listener, &data) else { return true };
    if caller.still_waits().is_err() {
        return true;
    }
    let Ok(status) = caller.status() else { return true };
    status.is_certain_for(call.caller_tid)
        || (status.shared_signals != 0 && call.since.elapsed() > UNCLAIMED)
}
