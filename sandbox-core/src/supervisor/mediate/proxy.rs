//! Connections to the runs' proxy: made and accepted here, and handed to the server with who is
//! behind them before the program has them.
//!
//! What a program takes for the proxy is a socket of this process, made for the one connection. What
//! is accepted on it goes to the server if its far end is the program's own socket; anybody else's is
//! closed. So no connection is taken for another run's, and a program that moves its socket meanwhile
//! has one that leads nowhere.

use super::blocking::Interrupted;
use super::caller::Confirmed;
use super::request::SocketRequest;
use super::turn::Turn;
use crate::control::{ControlError, Introduction, introduce};
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, SockType, getsockopt, shutdown, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a connection on the same machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to the proxy. A non-blocking socket is connected when the call returns. All of it or
/// nothing: a connection that the server does not have is closed.
pub(super) fn connect(
    turn: &Turn<'_>,
    _: Confirmed,
    request: &SocketRequest,
    address: &[u8],
) -> Result<(), Interrupted> {
    let caller = &turn.caller;
    let socket = &request.socket;
    let stream = getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream);
    let Some(server) = turn.shared.proxy.as_ref().filter(|_| stream) else {
        // Nothing listens there for datagrams, nor for a run that has no proxy.
        return Err(Interrupted::Failed(Errno::ECONNREFUSED));
    };
    let pid = caller.process().unwrap_or(caller.tid());
    let introduction = Introduction { pid, exe: caller.exe() };
    let accepted = turn.may_block(|| reach(socket, address))?;
    // The server may have many to take.
    let handed_over = turn.may_block(|| hand_over(server, &introduction, &accepted));
    handed_over.map_err(|interrupted| {
        close(socket);
        match interrupted {
            // It cannot be connected again.
            Interrupted::Restart => Interrupted::Failed(Errno::ECONNREFUSED),
            other => other,
        }
    })
}

/// Connects `socket` to one of ours, with the rest of `address`; the other end of the connection.
fn reach(socket: &OwnedFd, address: &[u8]) -> Result<OwnedFd, Errno> {
    let door = open().map_err(errno)?;
    let at = door.local_addr().map_err(errno)?;
    let accepted = match sys::connect(socket.as_fd(), &with_port(address, at.port())) {
        Ok(()) => accept(&door, at, socket),
        // Under way, whoever interrupts this.
        Err(Errno::EINPROGRESS | Errno::EINTR) => {
            wait_until_connected(socket).and_then(|()| accept(&door, at, socket))
        }
        // It is what it was.
        Err(errno) => return Err(errno),
    };
    accepted.inspect_err(|_| close(socket))
}

fn hand_over(
    server: &OwnedFd,
    introduction: &Introduction,
    connection: &OwnedFd,
) -> Result<(), Errno> {
    introduce(server.as_fd(), introduction, connection).map_err(|error| match error {
        ControlError::Call { errno: Errno::EINTR, .. } => Errno::EINTR,
        _ => Errno::ECONNREFUSED,
    })
}

fn close(socket: &OwnedFd) {
    let _closed_before = shutdown(socket.as_raw_fd(), Shutdown::Both);
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
            Ok(_) if Instant::now() >= deadline => return Err(Errno::ETIMEDOUT),
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
    use nix::sys::socket::{AddressFamily, SockFlag, socket, socketpair};
    use std::io::{Read, Write};

    const ADDRESS: [u8; 16] = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

    fn stream() -> OwnedFd {
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()
    }

    fn to(address: SocketAddr) -> Vec<u8> {
        with_port(&ADDRESS, address.port())
    }

    #[test]
    fn what_is_accepted_is_the_other_end_of_the_programs_socket() {
        let (first, second) = (stream(), stream());
        let ends = [&first, &second].map(|near| reach(near, &ADDRESS).unwrap());
        for (near, far) in [first, second].into_iter().zip(ends) {
            TcpStream::from(near).write_all(b"x").unwrap();
            let mut byte = [0];
            TcpStream::from(far).read_exact(&mut byte).unwrap();
        }
    }

    #[test]
    fn strangers_are_closed() {
        let door = open().unwrap();
        let at = door.local_addr().unwrap();
        let mut strangers = [(); 3].map(|()| TcpStream::connect(at).unwrap());
        let near = stream();
        sys::connect(near.as_fd(), &to(at)).unwrap();
        let _late = TcpStream::connect(at).unwrap();
        let far = TcpStream::from(accept(&door, at, &near).unwrap());
        let own = TcpStream::from(near).local_addr().unwrap();
        assert_eq!(far.peer_addr().unwrap(), own);
        for stranger in &mut strangers {
            assert_eq!(stranger.read(&mut [0]).unwrap(), 0, "closed");
        }
    }

    #[test]
    fn a_socket_that_is_connected_elsewhere_stays_as_it_is() {
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let moved = stream();
        sys::connect(moved.as_fd(), &to(elsewhere.local_addr().unwrap())).unwrap();
        assert_eq!(reach(&moved, &ADDRESS).unwrap_err(), Errno::EISCONN);
        let door = open().unwrap();
        let at = door.local_addr().unwrap();
        assert_eq!(accept(&door, at, &moved).unwrap_err(), Errno::ECONNREFUSED);
        let (mut far, _) = elsewhere.accept().unwrap();
        TcpStream::from(moved).write_all(b"x").unwrap();
        far.read_exact(&mut [0]).unwrap();
    }

    /// Connected to somebody else, and not yet told so: the kernel's answer is "connected".
    #[test]
    fn a_connection_made_before_is_not_taken_for_this_one() {
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let flags = SockFlag::SOCK_NONBLOCK;
        let moved = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        let began = sys::connect(moved.as_fd(), &to(elsewhere.local_addr().unwrap()));
        assert_eq!(began, Err(Errno::EINPROGRESS));
        drop(elsewhere.accept().unwrap());
        assert_eq!(reach(&moved, &ADDRESS).unwrap_err(), Errno::ECONNREFUSED);
    }

    #[test]
    fn without_a_server_nothing_is_handed_over() {
        let flags = SockFlag::SOCK_CLOEXEC;
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags);
        let (server, ours) = pair.unwrap();
        drop(server);
        let introduction = Introduction { pid: 1, exe: Vec::new() };
        let lost = hand_over(&ours, &introduction, &stream());
        assert_eq!(lost, Err(Errno::ECONNREFUSED));
    }
}
