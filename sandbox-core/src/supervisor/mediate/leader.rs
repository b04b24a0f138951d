//! Who answers notifications.
//!
//! A thread, the *leader*, receives, acts and answers: with `SYNC_WAKE_UP` that is several times
//! faster than handing work over. A call that blocks or takes long gets it a stand-in, so that no
//! other caller waits (`blocking.rs`, requirement U8).
//!
//! While callers wait in line there are several leaders, one for each processor at most. With one,
//! the callers of all processors would be woken on the processor of the leader, and the others
//! stand idle. Leaders that are not needed go again: each notification wakes all that wait for one.

use super::blocking::{CallInHand, SLOW, conclude};
use super::caller::Caller;
use super::listener::{MessageCall, Notification};
use super::own_socket::OwnSocket;
use super::token_queue::TokenQueue;
use super::turn::Turn;
use super::{Shared, attributes, bind, connect, lock, network, notice, send, signal};
use crate::filter::Mediated;
use crate::rate::MediationMode;
use crate::record::Operation;
use crate::supervisor::observe;
use crate::sys::{self, NotificationData};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that may be blocked at once, however many descriptors there are. Beyond it callers wait
/// their turn, which delays only their own run.
const MAX_BLOCKED: usize = 2048;
/// What a blocked call holds: the socket, what it is connected to and the caller's task; one more of
/// the proxy's.
const DESCRIPTORS_EACH: u64 = 4;
/// Kept for everything else this process does, calls that do not block included.
const DESCRIPTORS_KEPT: u64 = 64;
/// Leaders at once, however many processors there are.
const MAX_LEADERS: usize = 8;
/// After so many calls in a row that no other was in hand with, one leader more than one is enough.
const CALM: u32 = 256;
/// From then on it is looked only so often whether another call waits.
const SELDOM: u32 = 8;
const STACK: usize = 128 << 10;

/// Roles of the mediating threads of one run.
#[derive(Debug)]
pub(super) struct Leadership {
    /// Ends when a leader may have been in one call for long.
    pub(super) timer: TimerFd,
    pub(super) state: Mutex<State>,
    idle: Condvar,
    pub(super) slowed: AtomicU64,
    pub(super) tokens: TokenQueue,
    /// Leaders there may be at once.
    most: usize,
    /// Threads there may be that were relieved of leading and are still in their call.
    most_blocked: usize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Threads that receive, or are in a call no stand-in was needed for.
    leaders: usize,
    /// Calls received and not yet answered and recorded. Seldom more than one.
    pub(super) calls: Vec<CallInHand>,
    /// Calls in a row that were the only one in hand.
    calm: u32,
    /// Whether somebody waits until there are no calls.
    finishing: bool,
    /// When the timer ends, if it runs.
    pub(super) watched: Option<Instant>,
}

impl State {
    /// Takes a call in hand. Whether it is worth asking if another one waits: all leaders have one
    /// now, and it has not just been found out that calls come one by one.
    fn begin(&mut self, call: CallInHand) -> bool {
        self.calls.push(call);
        let in_hand = self.calls.iter().filter(|call| call.leading).count();
        self.calm = if in_hand > 1 { 0 } else { self.calm.saturating_add(1) };
        in_hand >= self.leaders && (self.calm < CALM || self.calm.is_multiple_of(SELDOM))
    }

    /// A call is answered. What becomes of its thread.
    fn end(&mut self, id: u64) -> Next {
        let at = self.calls.iter().position(|call| call.id == id);
        // The main loop may have put a stand-in in its place.
        if !at.is_some_and(|at| self.calls.swap_remove(at).leading) {
            return Next::Leave;
        }
        if self.leaders > 1 && self.calm > CALM {
            self.leaders -= 1;
            self.calm = 0;
            return Next::Leave;
        }
        Next::Receive
    }

    pub(super) fn call(&mut self, id: u64) -> Option<&mut CallInHand> {
        self.calls.iter_mut().find(|call| call.id == id)
    }
}

/// What a thread does after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Receive,
    Leave,
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
            tokens: TokenQueue::default(),
            most: processors().min(MAX_LEADERS),
            most_blocked: most_blocked(getrlimit(Resource::RLIMIT_NOFILE)?.0),
        })
    }

    /// Takes a call in hand, and sees to it that it is noticed if it takes long. As [`State::begin`].
    fn begin(&self, id: u64, helper: i32) -> bool {
        let mut state = lock(&self.state);
        let ask = state.begin(CallInHand::new(id, helper));
        self.watch(&mut state, SLOW);
        ask
    }

    pub(super) fn stalled_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    pub(super) fn slowed(&self) -> u64 {
        self.slowed.load(Ordering::Relaxed)
    }

    /// Waits until every received call is recorded, for a second at most. The tree is dead:
    /// `release` lets go of the calls that are still blocked for it.
    pub(super) fn wait_until_idle(&self, release: impl Fn()) {
        const MOST: Duration = Duration::from_secs(1);
        const STEP: Duration = Duration::from_millis(5);
        let until = Instant::now() + MOST;
        lock(&self.state).finishing = true;
        while Instant::now() < until {
            release();
            let state = lock(&self.state);
            let woken = self.idle.wait_timeout_while(state, STEP, |s| !s.calls.is_empty());
            if woken.unwrap_or_else(PoisonError::into_inner).0.calls.is_empty() {
                return;
            }
        }
    }
}

/// Processors this process may use.
fn processors() -> usize {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|n| set.is_set(*n).unwrap_or(false)).count().max(1)
}

/// Threads that may be blocked at once in a process that may have so many descriptors open: nobody
/// is to find that there is none left.
fn most_blocked(descriptors: u64) -> usize {
    let there_is_room_for = descriptors.saturating_sub(DESCRIPTORS_KEPT) / DESCRIPTORS_EACH;
    usize::try_from(there_is_room_for).unwrap_or(MAX_BLOCKED).min(MAX_BLOCKED)
}

/// The first leader, before there is anything to receive. Dropped: it ends.
#[derive(Debug)]
pub(super) struct FirstLeader(SyncSender<Arc<Shared>>);

impl FirstLeader {
    pub(super) fn spawn() -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel::<Arc<Shared>>(1);
        thread(move || receiver.iter().for_each(|shared| lead(&shared)))?;
        Ok(Self(sender))
    }

    pub(super) fn lead(self, shared: &Arc<Shared>) {
        lock(&shared.leadership.state).leaders = 1;
        // It waits for this and nothing else.
        let _received = self.0.send(Arc::clone(shared));
    }
}

fn spawn(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    thread(move || lead(&shared))
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("mediator".into()).stack_size(STACK).spawn(work).map(|_| ())
}

/// One thread's time as leader.
fn lead(shared: &Arc<Shared>) {
    let thread = sys::thread_id();
    while let Some(notification) = shared.listener.receive() {
        let id = notification.id();
        if shared.leadership.begin(id, thread) && shared.listener.another_waits() {
            lead_with_another(shared);
        }
        perform(shared, notification);
        let mut state = lock(&shared.leadership.state);
        let next = state.end(id);
        if state.calls.is_empty() && state.finishing {
            shared.leadership.idle.notify_all();
        }
        if next == Next::Leave {
            return;
        }
    }
}

fn perform(shared: &Arc<Shared>, notification: Notification<'_>) {
    let call = match notification {
        Notification::Observed(call) => return observe::look(shared, call),
        Notification::Refused(call) => return observe::refuse(shared, call),
        Notification::ByNumber(call) => return observe::judge_number(shared, call),
        Notification::Datagram(call) => return network::make_datagram_socket(call),
        Notification::Message(call) => match own_socket(shared, &call) {
            Some(socket) => return call.leave_to_kernel(&socket).go_on(),
            None => call.mediated(),
        },
        Notification::Mediated(call) => call,
    };
    let NotificationData { id, tid, args, .. } = call.data();
    let Some(caller) = Caller::new(shared.listener(), id, tid) else { return drop(call) };
    let turn = Turn { shared, caller, operation: operation(call.call), syscall: call.name };
    let result = match call.call {
        Mediated::Connect => connect::perform(&turn, args).map(|()| 0),
        Mediated::Bind => bind::perform(&turn, args).map(|()| 0),
        Mediated::Listen => network::perform_listen(&turn, args).map(|()| 0),
        Mediated::Share(what) => network::share(&turn, args, what).map(|()| 0),
        Mediated::Send(what) => send::perform(&turn, args, what),
        Mediated::Signal(what) => signal::perform(&turn, args, what).map(|()| 0),
        Mediated::Attribute(what) => attributes::perform(&turn, args, what).map(|()| 0),
        Mediated::Watch => notice::watch(&turn, args),
        Mediated::Lock => notice::lock(&turn, args).map(|()| 0),
    };
    conclude(call, result);
}

/// The socket that a send is about, if it can be left to the kernel. Where every call is paid for,
/// this one is as well.
fn own_socket(shared: &Arc<Shared>, call: &MessageCall<'_>) -> Option<OwnSocket> {
    let NotificationData { id, tid, args: [fd, ..], .. } = call.data();
    let caller = Caller::new(shared.listener(), id, tid)?;
    let socket = OwnSocket::of(&caller, fd)?;
    let paid = shared.charged != MediationMode::Proxy || shared.bucket.take().is_none();
    paid.then_some(socket)
}

/// What the records of a call say that it was.
fn operation(call: Mediated) -> Operation {
    match call {
        Mediated::Connect => Operation::Connect,
        // What an option lets be shared is what a socket is bound to.
        Mediated::Bind | Mediated::Share(_) => Operation::Bind,
        Mediated::Listen => Operation::Listen,
        Mediated::Send(_) => Operation::Send,
        Mediated::Signal(_) => Operation::Signal,
        Mediated::Attribute(_) | Mediated::Lock => Operation::Write,
        Mediated::Watch => Operation::Read,
    }
}

/// One leader more, if there may be one. Without it callers wait a little longer.
fn lead_with_another(shared: &Arc<Shared>) {
    let mut state = lock(&shared.leadership.state);
    if state.leaders < shared.leadership.most && spawn(shared).is_ok() {
        state.leaders += 1;
    }
}

/// Puts a stand-in in a leader's place, if there may be one: the leader then ends after its call.
pub(super) fn stand_in(shared: &Arc<Shared>, state: &mut State, id: u64) {
    let former = state.calls.iter().filter(|call| !call.leading).count();
    let Some(call) = state.call(id) else { return };
    if call.leading && former < shared.leadership.most_blocked && spawn(shared).is_ok() {
        call.leading = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u64) -> CallInHand {
        CallInHand::new(id, 1)
    }

    #[test]
    fn what_may_block_is_what_there_are_descriptors_for() {
        let most = [0, 64, 256, 1024, 8256, 8260, u64::MAX].map(most_blocked);
        assert_eq!(most, [0, 0, 48, 240, 2048, 2048, 2048]);
    }

    #[test]
    fn one_leader_is_asked_for_help_as_soon_as_it_has_a_call() {
        let mut state = State { leaders: 1, ..State::default() };
        assert!(state.begin(call(1)));
        state.leaders = 2;
        assert_eq!(state.end(1), Next::Receive);
        assert!(!state.begin(call(2)), "the other one waits for calls");
        assert!(state.begin(call(3)));
    }

    #[test]
    fn a_leader_goes_when_calls_come_one_by_one_for_long_and_the_last_one_stays() {
        let mut state = State { leaders: 2, ..State::default() };
        let mut served = 0;
        while state.leaders == 2 {
            state.begin(call(1));
            state.end(1);
            served += 1;
        }
        assert_eq!(served, CALM + 1);
        for _ in 0..2 * CALM {
            state.begin(call(1));
            assert_eq!(state.end(1), Next::Receive);
        }
    }

    #[test]
    fn two_calls_at_once_are_a_reason_to_stay() {
        let mut state = State { leaders: 2, calm: CALM, ..State::default() };
        state.begin(call(1));
        state.begin(call(2));
        assert_eq!((state.end(1), state.end(2)), (Next::Receive, Next::Receive));
        assert_eq!(state.leaders, 2);
    }

    #[test]
    fn a_call_that_takes_long_is_no_reason_to_stay() {
        let mut state = State { leaders: 2, calm: CALM, ..State::default() };
        state.begin(call(1));
        state.call(1).unwrap().leading = false;
        state.begin(call(2));
        assert_eq!((state.end(2), state.end(1)), (Next::Leave, Next::Leave));
        assert_eq!((state.leaders, state.calls.len()), (1, 0));
    }
}
