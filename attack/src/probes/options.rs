//! Options of sockets, and words in messages: what leads a judged call elsewhere.

use super::inet::{from_everywhere, ipv4, loopback, untied};
use super::{did, done, io};
use crate::sys::{Answer, at, at_mut, call};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// asm-generic/socket.h, linux/in.h, linux/in6.h.
const BIND_TO_DEVICE: i64 = 25;
const ZERO_COPY: i64 = 60;
const IP: i64 = libc::IPPROTO_IP as i64;
const IPV6: i64 = libc::IPPROTO_IPV6 as i64;
const IP_OPTIONS: i64 = 4;
const IP_MEMBERSHIP: i64 = 35;
const FLOW_LABELS: i64 = 32;
const PACKET_INFO: i64 = 50;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("zero-copy", "have the kernel read what is sent later", |_| {
        option(libc::AF_INET, libc::SOCK_STREAM, libc::SOL_SOCKET.into(), ZERO_COPY, &1_i32)
    })
    .expect(Expect::ByNetwork),
    Probe::new("bind-device", "choose a network card", |_| {
        let kind = libc::SOCK_STREAM;
        option(libc::AF_INET, kind, libc::SOL_SOCKET.into(), BIND_TO_DEVICE, b"lo\0")
    })
    .expect(Expect::ByNetwork),
    Probe::new("packet-info", "choose one for all that follows", |_| {
        // `struct in6_pktinfo`: any address, the first device.
        let info = [0, 0, 0, 0, 1_i32];
        option(libc::AF_INET6, libc::SOCK_DGRAM, IPV6, PACKET_INFO, &info)
    })
    .expect(Expect::ByNetwork)
    .if_built(),
    Probe::new("message-device", "choose one for a single datagram", message_device)
        .expect(Expect::ByNetwork),
    Probe::new("message-source", "send to an address by choosing the source", message_source)
        .expect(Expect::ByNetwork),
    Probe::new("source-route", "choose the stops on the way", |_| {
        // A loose source route by way of this machine.
        let route = [1_u8, 131, 7, 4, 127, 0, 0, 1];
        option(libc::AF_INET, libc::SOCK_DGRAM, IP, IP_OPTIONS, &route)
    }),
    Probe::new("flow-label", "keep a label, which can carry such a way", |_| flow_label())
        .if_built(),
    Probe::new("membership", "join a group of machines", |_| {
        let group = [[239_u8, 1, 2, 3], [127, 0, 0, 1]];
        option(libc::AF_INET, libc::SOCK_DGRAM, IP, IP_MEMBERSHIP, &group)
    })
    .expect(Expect::ByNetwork)
    .if_built(),
    Probe::new("udp-sends", "take datagrams from everywhere, by a send that fails", |t| {
        let socket = made(libc::AF_INET, libc::SOCK_DGRAM)?;
        sends_nowhere(socket);
        from_everywhere(t, socket)
    })
    .expect(Expect::ByDatagrams),
    Probe::new("udp6-sends", "the same by IPv6", |t| {
        let socket = made(libc::AF_INET6, libc::SOCK_DGRAM)?;
        sends_nowhere(socket);
        from_everywhere(t, socket)
    })
    .expect(Expect::ByDatagrams)
    .if_built(),
    Probe::new("udp-dissolved", "the same after a connection that was dissolved", |t| {
        let socket = made(libc::AF_INET, libc::SOCK_DGRAM)?;
        call(libc::SYS_connect, &[socket, at(&loopback(t.udp)), 16])?;
        dissolve(socket)?;
        sends_nowhere(socket);
        from_everywhere(t, socket)
    })
    .expect(Expect::ByDatagrams),
    Probe::new("udp-bound-first", "the same with a port that was bound before", |t| {
        let (socket, port) = (made(libc::AF_INET, libc::SOCK_DGRAM)?, free_port()?);
        call(libc::SYS_bind, &[socket, at(&ipv4(Ipv4Addr::UNSPECIFIED, port)), 16])?;
        call(libc::SYS_connect, &[socket, at(&loopback(t.udp)), 16])?;
        dissolve(socket)?;
        from_everywhere(t, socket)
    })
    .expect(Expect::ByExposure),
    Probe::new("udp-bound", "take datagrams from everywhere, by a bind", |t| {
        let socket = made(libc::AF_INET, libc::SOCK_DGRAM)?;
        call(libc::SYS_bind, &[socket, at(&ipv4(Ipv4Addr::UNSPECIFIED, 0)), 16])?;
        from_everywhere(t, socket)
    })
    .expect(Expect::ByExposure),
    Probe::new("listen-all", "take connections from other machines", |t| {
        let socket = made(libc::AF_INET, libc::SOCK_STREAM)?;
        call(libc::SYS_bind, &[socket, at(&ipv4(Ipv4Addr::UNSPECIFIED, 0)), 16])?;
        call(libc::SYS_listen, &[socket, 1])?;
        from_everywhere(t, socket)
    })
    .expect(Expect::ByExposure),
    Probe::new("listen-again", "the same once more, after it was dissolved", |t| {
        let (socket, port) = (made(libc::AF_INET, libc::SOCK_STREAM)?, free_port()?);
        call(libc::SYS_bind, &[socket, at(&ipv4(Ipv4Addr::UNSPECIFIED, port)), 16])?;
        call(libc::SYS_listen, &[socket, 1])?;
        dissolve(socket)?;
        call(libc::SYS_listen, &[socket, 1])?;
        from_everywhere(t, socket)
    })
    .expect(Expect::ByExposure),
    Probe::new("listen-unbound", "the same without a bind", |t| {
        let socket = made(libc::AF_INET, libc::SOCK_STREAM)?;
        call(libc::SYS_listen, &[socket, 1])?;
        from_everywhere(t, socket)
    })
    .expect(Expect::ByExposure),
    Probe::new("listen-raced", "the same by an address that is dissolved meanwhile", |_| {
        listen_raced()
    })
    .expect(Expect::ByExposure),
    Probe::new("listen-outer", "take connections at this machine's outer address", |t| {
        did(TcpListener::bind((t.outer_ip()?, 0)))
    })
    .expect(Expect::ByExposure),
];

fn made(family: i32, kind: i32) -> Answer {
    call(libc::SYS_socket, &[family.into(), kind.into(), 0])
}

fn set<T: ?Sized>(socket: i64, level: i64, name: i64, value: &T) -> Answer {
    let size = i64::try_from(size_of_val(value)).map_err(|_| Errno::EINVAL)?;
    call(libc::SYS_setsockopt, &[socket, level, name, at(value), size])
}

/// Sets an option of a new socket.
fn option<T: ?Sized>(family: i32, kind: i32, level: i64, name: i64, value: &T) -> Outcome {
    done(set(made(family, kind)?, level, name, value))
}

/// Gives an unconnected socket a port: the kernel does so before it finds that there is nobody to
/// send to.
fn sends_nowhere(socket: i64) {
    let _no_address = call(libc::SYS_sendto, &[socket, at(b"x"), 1, 0, 0, 0]);
}

/// A port that nobody has. A port that the kernel chooses does not stay with a dissolved socket.
fn free_port() -> Result<u16, Errno> {
    let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    somebody.local_addr().map(|address| address.port()).map_err(io)
}

/// Takes a connection's addresses away.
fn dissolve(socket: i64) -> Answer {
    call(libc::SYS_connect, &[socket, at(&[0_u8; 16]), 16])
}

/// A control message (cmsg(3)).
fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let length = 16 + data.len();
    let (level, kind) = (level.to_ne_bytes(), kind.to_ne_bytes());
    let mut bytes = [&length.to_ne_bytes()[..], &level, &kind, data].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Sends a message with a control message; without an address if it is empty.
fn message(socket: i64, to: &[u8], data: &[u8], control: &[u8]) -> Answer {
    let length = |bytes: &[u8]| i64::try_from(bytes.len()).unwrap_or(0);
    let piece = [at(data), length(data)];
    // `struct msghdr`.
    let name = if to.is_empty() { 0 } else { at(to) };
    let header = [name, length(to), at(&piece), 1, at(control), length(control), 0];
    call(libc::SYS_sendmsg, &[socket, at(&header), 0])
}

/// A device that is not there: whoever looks at it says so, and whoever does not sends.
fn message_device(t: &Targets) -> Outcome {
    let socket = made(libc::AF_INET, libc::SOCK_DGRAM)?;
    let info = [&i32::MAX.to_ne_bytes()[..], &[0; 8]].concat();
    let word = control(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
    match message(socket, &loopback(t.udp), b"x", &word) {
        Err(Errno::ENODEV) => Ok(String::new()),
        Err(errno) => Err(errno),
        Ok(_) => Err(Errno::EPERM),
    }
}

/// To the unspecified address the kernel sends as to the source. The service is nowhere but at the
/// outer address, and answers.
fn message_source(t: &Targets) -> Outcome {
    let socket = made(libc::AF_INET, libc::SOCK_DGRAM)?;
    let info = [&[0; 4][..], &t.outer_ip()?.octets(), &[0; 4]].concat();
    let word = control(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
    // `struct timeval`.
    let patience = [0_i64, 500_000];
    set(socket, libc::SOL_SOCKET.into(), libc::SO_RCVTIMEO.into(), &patience)?;
    message(socket, &ipv4(Ipv4Addr::UNSPECIFIED, t.outer.port()), b"x", &word)?;
    let mut answer = [0_u8; 16];
    done(call(libc::SYS_recvfrom, &[socket, at_mut(&mut answer), 16, 0, 0, 0]))
}

fn flow_label() -> Outcome {
    // `struct in6_flowlabel_req`: for ::1, get one, made if need be, for this socket alone.
    let mut request = [0_u8; 32];
    request[15] = 1;
    request[21] = 1;
    request[22..24].copy_from_slice(&1_u16.to_ne_bytes());
    option(libc::AF_INET6, libc::SOCK_DGRAM, IPV6, FLOW_LABELS, &request)
}

/// Listens while another thread dissolves the connection that has given the socket its address.
fn listen_raced() -> Outcome {
    const TIME: Duration = Duration::from_millis(500);
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    let port = server.local_addr().map_err(io)?.port();
    let (current, over) = (AtomicI64::new(-1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let socket = current.swap(-1, Ordering::Relaxed);
                if socket >= 0 {
                    let _lost = dissolve(socket);
                }
            }
        });
        let start = Instant::now();
        let mut outcome = Err(Errno::EACCES);
        for spins in (0..97).cycle().take_while(|_| start.elapsed() < TIME) {
            outcome = listen_once(&server, port, &current, spins);
            if outcome.is_ok() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// One try; `spins` is how long the other thread has first.
fn listen_once(server: &TcpListener, port: u16, current: &AtomicI64, spins: u32) -> Outcome {
    const ACCEPTS: i64 = 30;
    let socket = made(libc::AF_INET, libc::SOCK_STREAM)?;
    call(libc::SYS_connect, &[socket, at(&loopback(port)), 16])?;
    let _peer = server.accept().map_err(io)?;
    current.store(socket, Ordering::Relaxed);
    (0..spins * 20).for_each(|_| std::hint::spin_loop());
    let listens = call(libc::SYS_listen, &[socket, 1]);
    let (mut accepts, mut size) = (0_i32, 4_i32);
    let (into, length) = (at_mut(&mut accepts), at_mut(&mut size));
    call(libc::SYS_getsockopt, &[socket, libc::SOL_SOCKET.into(), ACCEPTS, into, length])?;
    let reached = listens.and_then(|_| untied(socket).map(|_| 0));
    let outcome = match reached {
        Ok(_) if accepts == 1 => Ok(String::new()),
        Ok(_) => Err(Errno::EACCES),
        Err(errno) => Err(errno),
    };
    current.store(-1, Ordering::Relaxed);
    let _closed = call(libc::SYS_close, &[socket]);
    outcome
}
