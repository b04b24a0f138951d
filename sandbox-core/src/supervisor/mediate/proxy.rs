//! Connections to the runs' proxy: made and accepted here, and handed to the server with who is
//! behind them before the program has them.
//!
//! What a program takes for the proxy is a socket of this process. The one accepted on it whose far
//! end is the program's own socket goes to the server; anybody else's is closed. So no connection is
//! taken for another run's, and a program that moves its socket meanwhile has one that leads nowhere.

use super::blocking::Interrupted;
use super::caller::{Caller, Confirmed};
use super::leader::Turn;
use super::lock;
use super::request::SocketRequest;
use crate::control::{ControlError, Introduction, introduce};
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, SockType, getsockopt, shutdown, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a connection on the same machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the proxy.
#[derive(Debug)]
pub(super) struct Way {
    /// Where the server takes connections.
    server: OwnedFd,
    /// What programs are connected to, once one has asked for the proxy. One connection is made at a
    /// time, which takes microseconds.
    door: Mutex<Option<TcpListener>>,
}

/// Connects to the proxy. A non-blocking socket is connected when the call returns.
pub(super) fn connect(
    turn: &mut Turn<'_>,
    caller: &Caller<'_>,
    _: Confirmed,
    request: &SocketRequest,
    address: &[u8],
) -> Result<(), Interrupted> {
    let shared = std::sync::Arc::clone(turn.shared);
    let socket = &request.socket;
    let stream = getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream);
    let Some(way) = shared.proxy.as_ref().filter(|_| stream) else {
        // Nothing listens there for datagrams, nor for a run that has no proxy.
        return Err(Interrupted::Failed(Errno::ECONNREFUSED));
    };
    let pid = caller.process().unwrap_or(caller.tid());
    let introduction = Introduction { pid, exe: caller.exe() };
    turn.may_block(caller, || way.connect(socket, address, &introduction))
}

impl Way {
    /// To the server behind this descriptor.
    pub(super) fn to(server: OwnedFd) -> Self {
        Self { server, door: Mutex::new(None) }
    }

    /// All of it or nothing: a connection that the server does not have is closed.
    fn connect(
        &self,
        socket: &OwnedFd,
        address: &[u8],
        introduction: &Introduction,
    ) -> Result<(), Errno> {
        let accepted = {
            let mut door = lock(&self.door);
            let door = match &mut *door {
                Some(door) => door,
                none => none.insert(open().map_err(errno)?),
            };
            // Strangers that knocked since: nobody waits for them, and they take places.
            while door.accept().is_ok() {}
            let at = door.local_addr().map_err(errno)?;
            match sys::connect(socket.as_fd(), &with_port(address, at.port())) {
                Ok(()) => {}
                Err(Errno::EINPROGRESS) => wait_until_connected(socket)?,
                Err(errno) => return Err(errno),
            }
            accept(door, at, socket)
        };
        let handed_over = accepted.and_then(|connection| {
            introduce(self.server.as_fd(), introduction, &connection).map_err(|error| match error {
                ControlError::Call { errno: Errno::EINTR, .. } => Errno::EINTR,
                _ => Errno::ECONNREFUSED,
            })
        });
        handed_over.inspect_err(|_| {
            let _closed = shutdown(socket.as_raw_fd(), Shutdown::Both);
        })
    }
}

/// A socket that listens on a loopback port of the kernel's choice.
fn open() -> io::Result<TcpListener> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    door.set_nonblocking(true)?;
    Ok(door)
}

/// The far end of the connection that `socket` has made to `door`, which is at `at`.
fn accept(door: &TcpListener, at: SocketAddr, socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    let near = TcpStream::from(socket.try_clone().map_err(errno)?);
    if near.peer_addr().map(plain).map_err(errno)? != at {
        // Connected elsewhere before, or moved by another thread.
        return Err(Errno::ECONNREFUSED);
    }
    let own = near.local_addr().map(plain).map_err(errno)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match door.accept() {
            Ok((far, peer)) if plain(peer) == own => return Ok(far.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_for(door.as_fd(), PollFlags::POLLIN, deadline)?;
            }
            Err(error) => return Err(errno(error)),
        }
    }
}

/// Without what IPv6 wraps around an IPv4 address.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// `struct sockaddr_in` or `sockaddr_in6` with another port, which is in the same place in both.
fn with_port(address: &[u8], port: u16) -> Vec<u8> {
    const PORT: usize = 2;
    let mut address = address.to_vec();
    if let Some(place) = address.get_mut(PORT..PORT + 2) {
        place.copy_from_slice(&port.to_be_bytes());
    }
    address
}

fn wait_until_connected(socket: &OwnedFd) -> Result<(), Errno> {
    wait_for(socket.as_fd(), PollFlags::POLLOUT, Instant::now() + PATIENCE)?;
    match getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}

fn wait_for(socket: BorrowedFd<'_>, what: PollFlags, deadline: Instant) -> Result<(), Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(socket, what)], timeout) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::receive_introduction;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};
    use std::io::{Read, Write};

    const ADDRESS: [u8; 16] = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

    fn way() -> (Way, OwnedFd) {
        let pair =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_NONBLOCK);
        let (server, ours) = pair.unwrap();
        (Way::to(ours), server)
    }

    fn stream() -> OwnedFd {
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()
    }

    fn connect(way: &Way, socket: &OwnedFd) -> Result<(), Errno> {
        way.connect(socket, &ADDRESS, &Introduction { pid: 1, exe: Vec::new() })
    }

    #[test]
    fn the_server_gets_the_programs_connection_and_no_strangers() {
        let (way, server) = way();
        let first = stream();
        connect(&way, &first).unwrap();
        let at = lock(&way.door).as_ref().unwrap().local_addr().unwrap();
        let _strangers: Vec<_> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
        let second = stream();
        connect(&way, &second).unwrap();
        for near in [first, second] {
            let (_, far) = receive_introduction(server.as_fd()).unwrap().unwrap();
            TcpStream::from(near).write_all(b"x").unwrap();
            let mut byte = [0];
            TcpStream::from(far).read_exact(&mut byte).unwrap();
        }
        assert!(receive_introduction(server.as_fd()).unwrap().is_none());
    }

    #[test]
    fn a_socket_that_is_connected_elsewhere_is_not_handed_over() {
        let (way, server) = way();
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let moved = stream();
        let at = with_port(&ADDRESS, elsewhere.local_addr().unwrap().port());
        sys::connect(moved.as_fd(), &at).unwrap();
        assert_eq!(connect(&way, &moved), Err(Errno::EISCONN));
        let door = open().unwrap();
        let at = door.local_addr().unwrap();
        assert_eq!(accept(&door, at, &moved).unwrap_err(), Errno::ECONNREFUSED);
        assert!(receive_introduction(server.as_fd()).unwrap().is_none());
    }

    #[test]
    fn without_a_server_there_is_no_connection() {
        let (way, server) = way();
        drop(server);
        let near = stream();
        assert!(connect(&way, &near).is_err());
        assert_eq!(TcpStream::from(near).read(&mut [0]).unwrap(), 0, "closed");
    }
}
