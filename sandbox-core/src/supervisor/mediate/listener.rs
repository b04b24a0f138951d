//! Notifications, each answered exactly once.
//!
//! The types make the old mistake impossible: a call that was judged by what is in the program's
//! memory ([`MediatedCall`]) has no way to say "go on", because the program may have changed that
//! memory since. Only a call that is left to the kernel ([`LeftToKernel`]) has: one nobody judged, or
//! one that was judged by its registers. A send ([`MessageCall`]) is one of both, and becomes a
//! mediated one unless there is proof that nothing in memory matters.

use super::own_socket::OwnSocket;
use crate::IpcScope;
use crate::filter::{
    Mediated, Observed, Refused, SendCall, Sharing, Trapped, is_udp, refusal_errno, trapped,
};
use crate::sys::{self, NotificationData};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};

/// `ERESTARTSYS` of the kernel: with a signal pending, the call is restarted or ends with `EINTR`,
/// as the signal's handler asks for. Never visible to a program.
pub(super) const ERESTARTSYS: i32 = 512;

/// The seccomp listener of the run.
#[derive(Debug)]
pub(super) struct Listener {
    fd: OwnedFd,
    ipc: IpcScope,
    /// Whether UDP sockets are made here.
    makes_datagrams: bool,
}

impl Listener {
    /// Takes the descriptor that the hand-over checked. Where the kernel can, supervisor and
    /// caller take turns on one processor; where it cannot, everything works, slower.
    pub(super) fn new(fd: OwnedFd, ipc: IpcScope, makes_datagrams: bool) -> Self {
        let _slower_without = sys::set_sync_wakeup(fd.as_fd());
        Self { fd, ipc, makes_datagrams }
    }

    /// Waits for the next notification. `None`: there will be none any more.
    pub(super) fn receive(&self) -> Option<Notification<'_>> {
        loop {
            match sys::receive(self.fd.as_fd()) {
                Ok(data) => {
                    let raw = Unanswered { listener: self, data };
                    let is_udp = data.nr == libc::SYS_socket && is_udp(&data.args);
                    if self.makes_datagrams && is_udp {
                        return Some(Notification::Datagram(DatagramCall(raw)));
                    }
                    if data.nr == libc::SYS_setsockopt
                        && let Some(what) = Sharing::of(&data.args)
                    {
                        let (call, name) = (Mediated::Share(what), "setsockopt");
                        return Some(Notification::Mediated(MediatedCall { call, name, raw }));
                    }
                    match trapped(data.nr, self.ipc) {
                        Some(Trapped::Mediated(
                            Mediated::Send(what @ (SendCall::Message | SendCall::Messages)),
                            name,
                        )) => return Some(Notification::Message(MessageCall { what, name, raw })),
                        Some(Trapped::Mediated(call, name)) => {
                            return Some(Notification::Mediated(MediatedCall { call, name, raw }));
                        }
                        Some(Trapped::Observed(call, name)) => {
                            return Some(Notification::Observed(LeftToKernel { call, name, raw }));
                        }
                        Some(Trapped::ByNumber(name)) => {
                            let call = LeftToKernel { call: (), name, raw };
                            return Some(Notification::ByNumber(call));
                        }
                        Some(Trapped::Refused(what, name)) => {
                            return Some(Notification::Refused(RefusedCall { what, name, raw }));
                        }
                        // No filter of ours traps it. Dropped: refused.
                        None => drop(raw),
                    }
                }
                // The caller died on the way here, or nobody is left who could call: the kernel
                // says the same for both, at once and every time.
                Err(Errno::ENOENT) if self.is_abandoned() => return None,
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Whether the last process under the filter is gone.
    fn is_abandoned(&self) -> bool {
        self.now().contains(PollFlags::POLLHUP)
    }

    /// Whether there is a notification that nobody has received yet.
    pub(super) fn another_waits(&self) -> bool {
        self.now().contains(PollFlags::POLLIN)
    }

    fn now(&self) -> PollFlags {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        let polled = poll(&mut fds, PollTimeout::ZERO).is_ok();
        let [fd] = fds;
        if polled { fd.revents().unwrap_or(PollFlags::empty()) } else { PollFlags::empty() }
    }

    /// Whether the caller still waits; while it does, its ids cannot be reused.
    pub(super) fn is_valid(&self, id: u64) -> bool {
        sys::id_is_valid(self.fd.as_fd(), id)
    }
}

/// Answers `EPERM` when dropped.
#[derive(Debug)]
struct Unanswered<'l> {
    listener: &'l Listener,
    data: NotificationData,
}

impl Unanswered<'_> {
    fn finish(self, result: Result<i64, i32>) {
        // ENOENT: the caller is gone and needs no answer.
        let _gone = sys::finish_call(self.listener.fd.as_fd(), self.data.id, result);
        let _answered = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let refused = Err(libc::EPERM);
        let _gone = sys::finish_call(self.listener.fd.as_fd(), self.data.id, refused);
    }
}

/// A notification, by what it is for.
#[derive(Debug)]
pub(super) enum Notification<'l> {
    /// To be performed.
    Mediated(MediatedCall<'l>),
    /// A send whose address, if it has one, is in memory.
    Message(MessageCall<'l>),
    /// To be looked at.
    Observed(ObservedCall<'l>),
    /// To be refused.
    Refused(RefusedCall<'l>),
    /// To be let through or refused, by a number in a register.
    ByNumber(ByNumberCall<'l>),
    /// A UDP socket to be made.
    Datagram(DatagramCall<'l>),
}

impl Notification<'_> {
    /// What tells it from all others of the run.
    pub(super) fn id(&self) -> u64 {
        let (Self::Mediated(MediatedCall { raw, .. })
        | Self::Message(MessageCall { raw, .. })
        | Self::Observed(ObservedCall { raw, .. })
        | Self::Refused(RefusedCall { raw, .. })
        | Self::ByNumber(ByNumberCall { raw, .. })
        | Self::Datagram(DatagramCall(raw))) = self;
        raw.data.id
    }
}

/// A call for a UDP socket, judged by its registers. Dropped: refused with `EPERM`.
#[derive(Debug)]
pub(super) struct DatagramCall<'l>(Unanswered<'l>);

impl DatagramCall<'_> {
    pub(super) fn args(&self) -> [u64; 6] {
        self.0.data.args
    }

    /// The program gets this socket, or the errno.
    pub(super) fn answer(self, socket: Result<OwnedFd, Errno>, close_on_exec: bool) {
        let listener = self.0.listener.fd.as_fd();
        let given = socket.and_then(|socket| {
            sys::answer_with_descriptor(listener, self.0.data.id, socket.as_fd(), close_on_exec)
        });
        match given {
            Ok(()) => {
                let _answered = std::mem::ManuallyDrop::new(self.0);
            }
            Err(errno) => self.0.finish(Err(errno as i32)),
        }
    }
}

/// A send that has yet to be told apart. Dropped: refused with `EPERM`.
#[derive(Debug)]
pub(super) struct MessageCall<'l> {
    what: SendCall,
    name: &'static str,
    raw: Unanswered<'l>,
}

impl<'l> MessageCall<'l> {
    pub(super) fn data(&self) -> NotificationData {
        self.raw.data
    }

    /// It is judged by what is in memory.
    pub(super) fn mediated(self) -> MediatedCall<'l> {
        MediatedCall { call: Mediated::Send(self.what), name: self.name, raw: self.raw }
    }

    /// It goes to the socket's peer, whatever is in memory.
    pub(super) fn leave_to_kernel(self, _: &OwnSocket) -> LeftToKernel<'l, ()> {
        LeftToKernel { call: (), name: self.name, raw: self.raw }
    }
}

/// A call to be performed on the caller's behalf. Dropped: refused with `EPERM`.
#[derive(Debug)]
pub(super) struct MediatedCall<'l> {
    pub(super) call: Mediated,
    pub(super) name: &'static str,
    raw: Unanswered<'l>,
}

impl MediatedCall<'_> {
    pub(super) fn data(&self) -> NotificationData {
        self.raw.data
    }

    /// What the program gets: a value, or a positive errno.
    pub(super) fn answer(self, result: Result<i64, i32>) {
        self.raw.finish(result);
    }
}

/// A call the kernel decides, unless it is refused here. Dropped: refused with `EPERM`.
#[derive(Debug)]
pub(in crate::supervisor) struct LeftToKernel<'l, Call> {
    pub(in crate::supervisor) call: Call,
    pub(in crate::supervisor) name: &'static str,
    raw: Unanswered<'l>,
}

/// A call nobody judges, unless it would change what stays as it is.
pub(in crate::supervisor) type ObservedCall<'l> = LeftToKernel<'l, Observed>;

/// A call about whom a number in a register names: nothing of it can change while it waits but who
/// has the number.
pub(in crate::supervisor) type ByNumberCall<'l> = LeftToKernel<'l, ()>;

impl<Call> LeftToKernel<'_, Call> {
    pub(in crate::supervisor) fn data(&self) -> NotificationData {
        self.raw.data
    }

    /// Lets the kernel go on. The only way to say so.
    pub(in crate::supervisor) fn go_on(self) {
        // ENOENT: the caller is gone and needs no answer.
        let _gone = sys::continue_call(self.raw.listener.fd.as_fd(), self.raw.data.id);
        let _answered = std::mem::ManuallyDrop::new(self.raw);
    }

    /// Says no, although the kernel may have allowed it.
    pub(in crate::supervisor) fn refuse(self, errno: Errno) {
        self.raw.finish(Err(errno as i32));
    }
}

/// A call that is refused, whatever is found out about it. Dropped: refused with `EPERM`.
#[derive(Debug)]
pub(in crate::supervisor) struct RefusedCall<'l> {
    pub(in crate::supervisor) what: Refused,
    pub(in crate::supervisor) name: &'static str,
    raw: Unanswered<'l>,
}

impl RefusedCall<'_> {
    pub(in crate::supervisor) fn data(&self) -> NotificationData {
        self.raw.data
    }

    /// The errno it gets, from its registers.
    pub(in crate::supervisor) fn errno(&self) -> Errno {
        Errno::from_raw(refusal_errno(self.raw.data.nr, &self.raw.data.args))
    }

    /// Says no.
    pub(in crate::supervisor) fn refuse(self) {
        let errno = self.errno();
        self.raw.finish(Err(errno as i32));
    }
}
