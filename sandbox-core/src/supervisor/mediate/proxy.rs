//! Connections to the runs' proxy: made here, and introduced before the program has them.

use super::blocking::Interrupted;
use super::caller::{Caller, Confirmed};
use super::leader::Turn;
use super::request::SocketRequest;
use crate::control::Introduction;
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    Shutdown, SockType, TimestampingFlag, getsockopt, setsockopt, shutdown, sockopt,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a connection on the same machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to the proxy and says whose connection it is. A non-blocking socket is connected when
/// the call returns: on the same machine that takes microseconds.
pub(super) fn connect(
    turn: &mut Turn<'_>,
    caller: &Caller<'_>,
    _: Confirmed,
    request: &SocketRequest,
) -> Result<(), Interrupted> {
    let shared = std::sync::Arc::clone(turn.shared);
    let socket = &request.socket;
    let stream = getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream);
    let Some(secret) = shared.proxy.filter(|_| stream) else {
        // Nothing listens there for datagrams, nor for a run that has no proxy.
        return Err(Interrupted::Failed(Errno::ECONNREFUSED));
    };
    let pid = caller.process().unwrap_or(caller.tid());
    let introduction = Introduction { secret, pid, exe: caller.exe() }.encode();
    turn.may_block(caller, || {
        // Or the introduction would come back with the time at which it was sent. The filter refuses
        // the option; a socket that came from outside may have it.
        setsockopt(socket, sockopt::Timestamping, &TimestampingFlag::empty())?;
        match sys::connect(socket.as_fd(), &request.bytes) {
            Ok(()) => {}
            Err(Errno::EINPROGRESS) => wait_until_connected(socket)?,
            Err(errno) => return Err(errno),
        }
        introduce(socket, &introduction)
    })
}

fn wait_until_connected(socket: &OwnedFd) -> Result<(), Errno> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    match getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// All of it or nothing: a connection that was introduced in part is closed.
fn introduce(socket: &OwnedFd, introduction: &[u8]) -> Result<(), Errno> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    match sys::send_message(socket.as_fd(), &[], introduction, &[], flags) {
        Ok(sent) if sent == introduction.len() => Ok(()),
        Ok(_) | Err(_) => {
            let _closed = shutdown(socket.as_raw_fd(), Shutdown::Both);
            Err(Errno::ECONNREFUSED)
        }
    }
}
