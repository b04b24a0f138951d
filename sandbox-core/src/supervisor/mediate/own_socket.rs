//! Sends that are left to the kernel although their call may carry an address.
//!
//! What the supervisor performs, it sends: a receiver that asks who sent something (`SO_PASSCRED` in
//! unix(7)) is told its process id, and programs go by that (Chromium's children tell their browser
//! so which process they are). A stream or a sequenced-packet socket of AF_UNIX sends to its peer or
//! to nobody, whatever address the call carries (`unix_stream_sendmsg`, `unix_seqpacket_sendmsg` in
//! net/unix/af_unix.c). So nothing has to be judged but which socket it is, and that does not change
//! while the call waits if nobody but the waiting thread uses the caller's descriptors.

use super::caller::Caller;
use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::os::fd::AsFd;

/// That a waiting call sends on a socket of that kind, which nobody can swap for another.
#[derive(Debug)]
pub(super) struct OwnSocket(());

impl OwnSocket {
    /// Looks at the socket behind a caller's descriptor. `None`: the call has to be performed.
    pub(super) fn of(caller: &Caller<'_>, fd: u64) -> Option<Self> {
        Self::look(caller, fd).ok().flatten()
    }

    fn look(caller: &Caller<'_>, fd: u64) -> Result<Option<Self>, Errno> {
        // The filter lets no two processes share descriptors, and no thread have its own. Asked
        // first: it is cheap, and tells most of those apart that have to be performed.
        if !caller.is_alone()? {
            return Ok(None);
        }
        let socket = caller.descriptor(fd)?;
        let is_unix = crate::sys::socket_domain(socket.as_fd())? == libc::AF_UNIX;
        let kind = getsockopt(&socket, sockopt::SockType)?;
        if !is_unix || !matches!(kind, SockType::Stream | SockType::SeqPacket) {
            return Ok(None);
        }
        // What was found is the caller's.
        caller.still_waits()?;
        Ok(Some(Self(())))
    }
}
