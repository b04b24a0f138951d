//! TCP and UDP on the loopback interface.

use crate::number;
use crate::sys::{self, LOCALHOST, Outcome, inet_address};
use nix::errno::Errno;
use std::net::ToSocketAddrs;
use std::os::fd::{AsRawFd, RawFd};

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("tcp", &[port, n]) => number(port).and_then(|p| tcp(p, n)),
        ("tcp-nonblocking", &[port]) => number(port).and_then(nonblocking),
        ("tcp-refused", &[]) => refused(),
        ("tcp-serve-self", &[]) => serve_self(),
        ("tcp-v6", &[port]) => number(port).and_then(mapped),
        ("tcp-protocol", &[protocol]) => number(protocol)
            .and_then(|p| sys::socket(libc::AF_INET, libc::SOCK_STREAM, p).map(|_| String::new())),
        ("fast-open", &[port]) => number(port).and_then(fast_open),
        ("udp", &[port]) => number(port).and_then(udp),
        ("udp-connected", &[port]) => number(port).and_then(udp_connected),
        ("resolve", &[host, n]) => number(n).and_then(|n| resolve(host, n)),
        ("connect-received", &[path]) => connect_received(path),
        ("family", &[domain, kind]) => {
            number(domain).and_then(|d| sys::socket(d, number(kind)?, 0).map(|_| String::new()))
        }
        _ => return None,
    })
}

/// Connects a socket of AF_VSOCK, which somebody at `path` hands out, to this machine
/// (linux/vm_sockets.h).
fn connect_received(path: &str) -> Outcome {
    const LOCAL: u32 = 1;
    let family = u16::try_from(libc::AF_VSOCK).map_err(|_| Errno::EINVAL)?;
    let mut address = [family.to_ne_bytes(), [0; 2]].concat();
    address.extend([9_u32, LOCAL, 0].map(u32::to_ne_bytes).concat());
    sys::connect(received(path)?, &address)?;
    Ok(String::new())
}

/// The descriptor that somebody at `path` hands out.
fn received(path: &str) -> Result<RawFd, Errno> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let from = std::os::unix::net::UnixStream::connect(path)
        .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    let (mut byte, mut space) = ([0], nix::cmsg_space!(RawFd));
    let mut pieces = [std::io::IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(from.as_raw_fd(), &mut pieces, Some(&mut space), flags)?;
    let mut controls = message.cmsgs()?;
    match controls.next() {
        Some(ControlMessageOwned::ScmRights(fds)) => fds.first().copied().ok_or(Errno::ENODATA),
        _ => Err(Errno::ENODATA),
    }
}

fn tcp(port: u16, n: &str) -> Outcome {
    let n: usize = number(n)?;
    let address = inet_address(LOCALHOST, port);
    for _ in 0..n {
        let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        sys::connect(fd, &address)?;
        sys::close(fd);
    }
    Ok(n.to_string())
}

/// `EINPROGRESS` or at once, then writable, no pending error, and the echo comes back.
fn nonblocking(port: u16) -> Outcome {
    let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
    match sys::connect(fd, &inet_address(LOCALHOST, port)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(other) => return Err(other),
    }
    if !sys::poll(fd, libc::POLLOUT, 5000)? {
        return Err(Errno::ETIMEDOUT);
    }
    let pending = sys::socket_error(fd)?;
    if pending != 0 {
        return Err(Errno::from_raw(pending));
    }
    sys::sendto(fd, b"echo", 0, &[])?;
    sys::poll(fd, libc::POLLIN, 5000)?;
    sys::read_text(fd)
}

/// A port nobody listens on: bound, so that nobody else can take it, and not listening.
fn refused() -> Outcome {
    let holder = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::bind(holder, &inet_address(LOCALHOST, 0))?;
    let port = sys::local_port(holder)?;
    let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::connect(fd, &inet_address(LOCALHOST, port))?;
    Ok("connected".to_owned())
}

fn serve_self() -> Outcome {
    let listener = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::bind(listener, &inet_address(LOCALHOST, 0))?;
    sys::listen(listener, 4)?;
    let client = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::connect(client, &inet_address(LOCALHOST, sys::local_port(listener)?))?;
    let served = sys::accept(listener)?;
    sys::sendto(served, b"hello", 0, &[])?;
    sys::read_text(client)
}

/// `::ffff:127.0.0.1`, as Java connects.
fn mapped(port: u16) -> Outcome {
    let mut address = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([0; 4]);
    address.extend([0; 10]);
    address.extend([0xff, 0xff, 127, 0, 0, 1]);
    address.extend([0; 4]);
    let fd = sys::socket(libc::AF_INET6, libc::SOCK_STREAM, 0)?;
    sys::connect(fd, &address)?;
    Ok(String::new())
}

/// A connect hidden in a send.
fn fast_open(port: u16) -> Outcome {
    let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::sendto(fd, b"echo", libc::MSG_FASTOPEN, &inet_address(LOCALHOST, port))?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

fn udp(port: u16) -> Outcome {
    let fd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    sys::sendto(fd, b"echo", 0, &inet_address(LOCALHOST, port))?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

fn udp_connected(port: u16) -> Outcome {
    let fd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    sys::connect(fd, &inet_address(LOCALHOST, port))?;
    sys::sendto(fd, b"echo", 0, &[])?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

/// `getaddrinfo`, which also knocks at nscd's socket on every call.
fn resolve(host: &str, n: usize) -> Outcome {
    for _ in 0..n {
        let found = (host, 80).to_socket_addrs().map_err(|_| Errno::EHOSTUNREACH)?.count();
        if found == 0 {
            return Err(Errno::EHOSTUNREACH);
        }
    }
    Ok(n.to_string())
}
