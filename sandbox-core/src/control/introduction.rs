//! How connections to the runs' proxy get there: a supervisor accepts each of its run's itself and
//! sends it to the server, with who asked for it. So the proxy has no address that anybody else
//! could connect to, and nothing is ever said on a connection that its program could read back.

use super::descriptors::receive_message;
use super::error::{ControlError, call};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::{Deserialize, Serialize};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Who is behind a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The process that connects.
    pub pid: i32,
    /// Its executable; empty if it could not be read.
    pub exe: Vec<u8>,
}

/// Longer names of executables are cut.
const MAX_EXE: usize = 512;
/// No introduction is longer.
const MAX_ENCODED: usize = 1024;

/// Supervisor: hands over a connection. Waits while the server has many to take; `socket` keeps
/// messages apart (`SOCK_SEQPACKET`).
///
/// # Errors
/// [`ControlError`] if the server is gone, or a signal came.
pub fn introduce(
    socket: BorrowedFd<'_>,
    introduction: &Introduction,
    connection: &OwnedFd,
) -> Result<(), ControlError> {
    let Introduction { pid, exe } = introduction;
    let exe = exe.get(..MAX_EXE).unwrap_or(exe).to_vec();
    let encoded =
        postcard::to_stdvec(&Introduction { pid: *pid, exe }).map_err(ControlError::Codec)?;
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(&encoded)],
        &[ControlMessage::ScmRights(&[connection.as_raw_fd()])],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map(drop)
    .map_err(call("sendmsg"))
}

/// Server: takes the next connection; `None` if there is none yet and `socket` does not block.
///
/// # Errors
/// [`ControlError::Closed`] once the supervisor is gone; others if the message is malformed.
pub fn receive_introduction(
    socket: BorrowedFd<'_>,
) -> Result<Option<(Introduction, OwnedFd)>, ControlError> {
    let mut bytes = [0; MAX_ENCODED];
    let (length, mut fds) = match receive_message(socket, &mut bytes) {
        Err(Errno::EAGAIN) => return Ok(None),
        received => received.map_err(call("recvmsg"))?,
    };
    if length == 0 {
        return Err(ControlError::Closed);
    }
    let encoded = bytes.get(..length).unwrap_or_default();
    let introduction = postcard::from_bytes(encoded).map_err(ControlError::Codec)?;
    match (fds.pop(), fds.is_empty()) {
        (Some(connection), true) => Ok(Some((introduction, connection))),
        _ => Err(ControlError::Malformed("an introduction is for one connection")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn connections_arrive_with_who_is_behind_them() {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (server, supervisor) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        assert!(receive_introduction(server.as_fd()).unwrap().is_none());
        let (mut near, far) = UnixStream::pair().unwrap();
        let said = Introduction { pid: 42, exe: vec![b'x'; 600] };
        introduce(supervisor.as_fd(), &said, &far.into()).unwrap();
        drop(supervisor);
        let (heard, connection) = receive_introduction(server.as_fd()).unwrap().unwrap();
        assert_eq!((heard.pid, heard.exe.as_slice()), (42, &said.exe[..512]));
        near.write_all(b"x").unwrap();
        let mut byte = [0];
        UnixStream::from(connection).read_exact(&mut byte).unwrap();
        assert!(matches!(receive_introduction(server.as_fd()), Err(ControlError::Closed)));
    }
}
