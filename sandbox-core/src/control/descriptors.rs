//! Messages that carry descriptors (`SCM_RIGHTS`, unix(7)).

use super::transport::{ControlError, call};
use crate::sys;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// No message carries more: a sealed file, three streams, and one that comes with them.
const MOST_FDS: usize = 5;

/// One byte with descriptors.
pub(crate) fn send_fds(
    socket: BorrowedFd<'_>,
    kind: u8,
    fds: &[&OwnedFd],
) -> Result<(), ControlError> {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(&[kind])],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map(|_| ())
    .map_err(call("sendmsg"))
}

/// One byte and the descriptors that came with it.
pub(crate) fn receive_fds(socket: BorrowedFd<'_>) -> Result<(u8, Vec<OwnedFd>), ControlError> {
    let mut byte = [0u8];
    match receive_message(socket, &mut byte).map_err(call("recvmsg"))? {
        (0, _) => Err(ControlError::Closed),
        (_, fds) => Ok((byte[0], fds)),
    }
}

/// One message: how many bytes of it there are, none if the peer is gone, and the descriptors that
/// came with it, all owned and close-on-exec. `ENOBUFS` if those are more than any message has.
pub(crate) fn receive_message(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = cmsg_space!([RawFd; MOST_FDS]);
    let mut parts = [IoSliceMut::new(bytes)];
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            fds.extend(raw.into_iter().map(sys::own_received));
        }
    }
    Ok((message.bytes, fds))
}
