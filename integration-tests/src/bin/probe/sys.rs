//! Raw system calls and raw addresses. A probe says what the kernel answered and nothing else, so
//! it goes around every library that might retry, translate or refuse on its own.

use nix::errno::Errno;
use std::os::fd::RawFd;

/// What one probe found: a detail after `ok`, or the errno.
pub type Outcome = Result<String, Errno>;

/// One system call with up to six arguments.
///
/// Safe to call in the sense that matters here: the kernel checks every pointer it is given, and a
/// wrong one can harm this short-lived process alone. Callers pass addresses of live buffers, or
/// bad addresses on purpose.
pub fn call(number: i64, args: &[usize]) -> Result<usize, Errno> {
    let mut a = [0_usize; 6];
    a[..args.len()].copy_from_slice(args);
    // SAFETY: see above; unused arguments are zero.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result == -1 { Err(Errno::last()) } else { Ok(result as usize) }
}

/// `socket(2)`.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> Result<RawFd, Errno> {
    let args = [domain as usize, kind as usize, protocol as usize];
    call(libc::SYS_socket, &args).map(|fd| fd as RawFd)
}

/// `socketpair(2)`.
pub fn socketpair(domain: i32, kind: i32) -> Result<[RawFd; 2], Errno> {
    let mut pair: [RawFd; 2] = [-1; 2];
    let args = [domain as usize, kind as usize, 0, pair.as_mut_ptr() as usize];
    call(libc::SYS_socketpair, &args).map(|_| pair)
}

/// `connect(2)` with an address given as bytes.
pub fn connect(fd: RawFd, address: &[u8]) -> Result<(), Errno> {
    let args = [fd as usize, address.as_ptr() as usize, address.len()];
    call(libc::SYS_connect, &args).map(drop)
}

/// `bind(2)` with an address given as bytes.
pub fn bind(fd: RawFd, address: &[u8]) -> Result<(), Errno> {
    let args = [fd as usize, address.as_ptr() as usize, address.len()];
    call(libc::SYS_bind, &args).map(drop)
}

/// `listen(2)`.
pub fn listen(fd: RawFd, backlog: usize) -> Result<(), Errno> {
    call(libc::SYS_listen, &[fd as usize, backlog]).map(drop)
}

/// `accept4(2)` without an address.
pub fn accept(fd: RawFd) -> Result<RawFd, Errno> {
    call(libc::SYS_accept4, &[fd as usize, 0, 0, 0]).map(|fd| fd as RawFd)
}

/// `close(2)`; an error would not change what the probe shows.
pub fn close(fd: RawFd) {
    let _ = call(libc::SYS_close, &[fd as usize]);
}

/// `sendto(2)`; an empty address is passed as a null pointer.
pub fn sendto(fd: RawFd, data: &[u8], flags: i32, address: &[u8]) -> Result<usize, Errno> {
    let to = if address.is_empty() { 0 } else { address.as_ptr() as usize };
    let args = [fd as usize, data.as_ptr() as usize, data.len(), flags as usize, to, address.len()];
    call(libc::SYS_sendto, &args)
}

/// The current local port of an IPv4 socket.
pub fn local_port(fd: RawFd) -> Result<u16, Errno> {
    let mut name = [0_u8; 16];
    let mut size = name.len() as libc::socklen_t;
    let args = [fd as usize, name.as_mut_ptr() as usize, &raw mut size as usize];
    call(libc::SYS_getsockname, &args)?;
    Ok(u16::from_be_bytes([name[2], name[3]]))
}

/// Sets a receive timeout, so that a probe never waits for a peer that will not speak.
pub fn receive_timeout(fd: RawFd, millis: i64) {
    let time = libc::timeval { tv_sec: millis / 1000, tv_usec: millis % 1000 * 1000 };
    let args = [
        fd as usize,
        libc::SOL_SOCKET as usize,
        libc::SO_RCVTIMEO as usize,
        &raw const time as usize,
        size_of_val(&time),
    ];
    let _ = call(libc::SYS_setsockopt, &args);
}

/// Reads once, up to 256 bytes, and gives what came as text.
pub fn read_text(fd: RawFd) -> Result<String, Errno> {
    let mut buffer = [0_u8; 256];
    let n = call(libc::SYS_read, &[fd as usize, buffer.as_mut_ptr() as usize, buffer.len()])?;
    Ok(String::from_utf8_lossy(&buffer[..n]).trim_end().to_owned())
}

/// Makes a descriptor non-blocking.
pub fn set_nonblocking(fd: RawFd) -> Result<(), Errno> {
    let args = [fd as usize, libc::F_SETFL as usize, libc::O_NONBLOCK as usize];
    call(libc::SYS_fcntl, &args).map(drop)
}

/// Waits for readiness; gives whether it came within `millis`.
pub fn poll(fd: RawFd, events: i16, millis: usize) -> Result<bool, Errno> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    let n = call(libc::SYS_poll, &[&raw mut entry as usize, 1, millis])?;
    Ok(n > 0)
}

/// The pending error of a socket, 0 for none.
pub fn socket_error(fd: RawFd) -> Result<i32, Errno> {
    let mut error = 0_i32;
    let mut size = size_of_val(&error) as libc::socklen_t;
    let args = [
        fd as usize,
        libc::SOL_SOCKET as usize,
        libc::SO_ERROR as usize,
        &raw mut error as usize,
        &raw mut size as usize,
    ];
    call(libc::SYS_getsockopt, &args)?;
    Ok(error)
}

/// A UNIX address as bytes: `@name` is abstract, anything else a path with its terminator.
pub fn unix_address(name: &str) -> Vec<u8> {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    match name.strip_prefix('@') {
        Some(rest) => {
            address.push(0);
            address.extend(rest.as_bytes());
        }
        None => {
            address.extend(name.as_bytes());
            address.push(0);
        }
    }
    address
}

/// An IPv4 address as bytes.
pub fn inet_address(ip: [u8; 4], port: u16) -> Vec<u8> {
    let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend(ip);
    address.extend([0; 8]);
    address
}

/// Loopback.
pub const LOCALHOST: [u8; 4] = [127, 0, 0, 1];
