//! Messages that carry descriptors (`SCM_RIGHTS`, unix(7)).

use super::error::{ControlError, call};
use crate::decide::controls;
use crate::sys;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
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
/// came with it, all owned and close-on-exec. `ENOBUFS` if those are more than any message has, or
/// more than this process may have open; those that did come are closed.
pub(crate) fn receive_message(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = cmsg_space!([RawFd; MOST_FDS]);
    let received = loop {
        match sys::receive_message(socket, bytes, &mut space) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    // Before anything is refused: what the kernel has opened here has to belong to somebody.
    let fds = owned(space.get(..received.control).unwrap_or_default());
    if received.truncated || fds.len() > MOST_FDS {
        return Err(Errno::ENOBUFS);
    }
    Ok((received.data, fds))
}

/// The descriptors in control messages, as the kernel has just written them.
fn owned(space: &[u8]) -> Vec<OwnedFd> {
    let messages = controls(space).unwrap_or_default().into_iter();
    messages
        .filter(|message| (message.level, message.kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS))
        .flat_map(|message| space.get(message.data).unwrap_or_default().as_chunks().0)
        .map(|number| sys::own_received(RawFd::from_ne_bytes(*number)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::io::{PipeReader, Read, Write, pipe};
    use std::os::fd::AsFd;

    /// What is received of a message with so many copies of the end of a pipe.
    fn received(copies: usize) -> (Result<(u8, Vec<OwnedFd>), ControlError>, PipeReader) {
        let (near, far) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        let (reader, writer) = pipe().unwrap();
        let writer = OwnedFd::from(writer);
        send_fds(far.as_fd(), b'x', &vec![&writer; copies]).unwrap();
        (receive_fds(near.as_fd()), reader)
    }

    #[test]
    fn descriptors_arrive_open_and_close_on_exec() {
        for copies in 0..=MOST_FDS {
            let (received, mut reader) = received(copies);
            let (kind, fds) = received.unwrap();
            assert_eq!((kind, fds.len()), (b'x', copies));
            for fd in fds {
                let flags = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
                assert_eq!(flags, libc::FD_CLOEXEC);
                std::fs::File::from(fd).write_all(b"y").unwrap();
            }
            let mut written = Vec::new();
            reader.read_to_end(&mut written).unwrap();
            assert_eq!(written.len(), copies);
        }
    }

    #[test]
    fn none_stays_open_of_a_message_with_too_many() {
        for copies in [MOST_FDS + 1, MOST_FDS + 2, 200] {
            let (received, mut reader) = received(copies);
            assert!(
                matches!(received, Err(ControlError::Call { errno: Errno::ENOBUFS, .. })),
                "{copies}"
            );
            // The end of the stream comes only when no copy is left anywhere.
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }
}
