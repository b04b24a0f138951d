//! IP, and what calls itself a socket.

use super::{did, done, io};
use crate::sys::{at, at_mut, call};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("tcp", "reach a service of this machine", |t| {
        tcp((Ipv4Addr::LOCALHOST, t.tcp).into())
    })
    .expect(Expect::ByLoopback),
    Probe::new("tcp-zero", "the same by the address that means this machine", |t| {
        tcp((Ipv4Addr::UNSPECIFIED, t.tcp).into())
    })
    .expect(Expect::ByLoopback),
    Probe::new("tcp-mapped", "the same by an IPv6 address for an IPv4 one", |t| {
        tcp((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), t.tcp).into())
    })
    .expect(Expect::ByLoopback)
    .if_built(),
    Probe::new("udp", "send a datagram to this machine", |t| {
        let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
        from.set_read_timeout(Some(std::time::Duration::from_secs(1))).map_err(io)?;
        from.send_to(b"x", (Ipv4Addr::LOCALHOST, t.udp)).map_err(io)?;
        let mut answer = [0; 16];
        did(from.recv_from(&mut answer))
    })
    .expect(Expect::ByLoopback),
    Probe::new("tcp-outer", "reach a service at this machine's outer address", |t| {
        tcp((t.outer_ip()?, t.tcp).into())
    })
    .expect(Expect::ByNetwork),
    Probe::new("udp-outer", "send a datagram there", |t| {
        let from = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(io)?;
        from.set_read_timeout(Some(std::time::Duration::from_secs(1))).map_err(io)?;
        from.send_to(b"x", (t.outer_ip()?, t.outer.port())).map_err(io)?;
        did(from.recv_from(&mut [0; 16]))
    })
    .expect(Expect::ByNetwork),
    Probe::new("mptcp", "TCP by another protocol number", |t| stream_by(262, t.tcp)).if_built(),
    Probe::new("sctp", "the same", |_| made(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP))
        .if_built(),
    Probe::new("fast-open", "connect without a connect", |t| fast_open(t.tcp)),
    Probe::new("ping", "ask other machines whether they are there", |_| {
        made(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)
    })
    .expect(Expect::ByNetwork)
    .if_built(),
    Probe::new("udp-lite", "datagrams by another protocol number", |_| {
        made(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE)
    })
    .expect(Expect::ByNetwork)
    .if_built(),
    Probe::new("raw-ip", "packets by hand", |_| {
        made(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
    })
    .root(),
    Probe::new("packet", "frames of every network card", |_| {
        made(libc::AF_PACKET, libc::SOCK_RAW, 0)
    })
    .root(),
    Probe::new("vsock", "the machine this one runs on", |_| made(libc::AF_VSOCK, 1, 0)).if_built(),
    Probe::new("crypto", "the kernel's ciphers", |_| made(libc::AF_ALG, libc::SOCK_SEQPACKET, 0))
        .if_built(),
    Probe::new("uevent", "events of the kernel", |_| made(libc::AF_NETLINK, libc::SOCK_RAW, 15)),
    Probe::new("netfilter", "the packet filter", |_| made(libc::AF_NETLINK, libc::SOCK_RAW, 12)),
    Probe::new("audit", "audit records", |_| made(libc::AF_NETLINK, libc::SOCK_RAW, 9)).if_built(),
    Probe::new("sock-diag", "list every socket and end it", |_| {
        made(libc::AF_NETLINK, libc::SOCK_RAW, 4)
    })
    .if_built(),
    Probe::new("generic", "whatever else speaks netlink", |_| {
        made(libc::AF_NETLINK, libc::SOCK_RAW, 16)
    }),
    Probe::new("frames-xdp", "frames in memory", |_| made(AF_XDP, libc::SOCK_RAW, 0)).root(),
    Probe::new("link-change", "change a network card", |_| link_change()).root(),
    Probe::new("routes", "ask for routes", |_| made(libc::AF_NETLINK, libc::SOCK_RAW, 0))
        .expect(Expect::Works),
    Probe::new("listen", "take connections", |_| {
        did(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))))
    })
    .expect(Expect::ByLoopback),
];

/// linux/socket.h
const AF_XDP: i32 = 44;

fn greeted(stream: std::io::Result<TcpStream>) -> Outcome {
    let mut said = String::new();
    let mut stream = stream.map_err(io)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).map_err(io)?;
    stream.read_to_string(&mut said).map_err(io)?;
    if said == crate::scene::GREETING { Ok(String::new()) } else { Err(Errno::EPROTO) }
}

fn tcp(to: SocketAddr) -> Outcome {
    greeted(TcpStream::connect(to))
}

fn made(family: i32, kind: i32, protocol: i32) -> Outcome {
    done(call(libc::SYS_socket, &[family.into(), kind.into(), protocol.into()]))
}

/// `struct sockaddr_in`.
pub(super) fn ipv4(ip: Ipv4Addr, port: u16) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&2_u16.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&ip.octets());
    address
}

/// The same, of a port of this machine.
pub(super) fn loopback(port: u16) -> [u8; 16] {
    ipv4(Ipv4Addr::LOCALHOST, port)
}

/// Whether a socket takes what comes to the address by which other machines know this one: somebody
/// outside sends to it there. Without such an address it is the kernel's word.
pub(super) fn from_everywhere(t: &Targets, socket: i64) -> Outcome {
    let port = open_port(socket)?;
    if t.outer_ip().is_err() {
        return untied(socket);
    }
    let own = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    own.send_to(&port.to_be_bytes(), (Ipv4Addr::LOCALHOST, t.udp)).map_err(io)?;
    let fd = i32::try_from(socket).map_err(|_| Errno::EBADF)?;
    let mut wait = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // `struct timespec`: what comes at all comes at once.
    let patience = [0_i64, 200_000_000];
    match call(libc::SYS_ppoll, &[at_mut(&mut wait), 1, at(&patience), 0])? {
        0 => Err(Errno::EHOSTUNREACH),
        _ => Ok(String::new()),
    }
}

/// The port that a socket has on all addresses.
fn open_port(socket: i64) -> Result<u16, Errno> {
    let (mut name, mut size) = ([0_u8; 28], 28_i32);
    call(libc::SYS_getsockname, &[socket, at_mut(&mut name), at_mut(&mut size)])?;
    // IPv4 behind the port, IPv6 behind the port and the flow.
    let address = if size == 28 { &name[8..24] } else { &name[4..8] };
    match u16::from_be_bytes([name[2], name[3]]) {
        port if port > 0 && address.iter().all(|byte| *byte == 0) => Ok(port),
        _ => Err(Errno::EADDRNOTAVAIL),
    }
}

/// Whether a socket has a port on all addresses and is tied to no device.
pub(super) fn untied(socket: i64) -> Outcome {
    const BIND_TO_DEVICE: i64 = 25;
    open_port(socket)?;
    let (mut device, mut size) = ([0_u8; 16], 16_i32);
    let (into, length) = (at_mut(&mut device), at_mut(&mut size));
    call(libc::SYS_getsockopt, &[socket, libc::SOL_SOCKET.into(), BIND_TO_DEVICE, into, length])?;
    if device[0] == 0 { Ok(String::new()) } else { Err(Errno::EHOSTUNREACH) }
}

/// Brings the loopback device up, which is up.
fn link_change() -> Outcome {
    let socket = call(libc::SYS_socket, &[libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0])?;
    // `struct nlmsghdr`: length, RTM_NEWLINK with NLM_F_REQUEST and NLM_F_ACK, number, sender;
    // `struct ifinfomsg`: family, the first device, IFF_UP of IFF_UP.
    let request = [32_u32, 16 | 5 << 16, 1, 0, 0, 1, 1, 1];
    call(libc::SYS_sendto, &[socket, at(&request), 32, 0, 0, 0])?;
    let mut answer = [0_i32; 64];
    call(libc::SYS_recvfrom, &[socket, at_mut(&mut answer), 256, 0, 0, 0])?;
    // `struct nlmsgerr`: 0 is success.
    match answer[4] {
        0 => Ok(String::new()),
        error => Err(Errno::from_raw(-error)),
    }
}

fn stream_by(protocol: i64, port: u16) -> Outcome {
    let fd = call(libc::SYS_socket, &[libc::AF_INET.into(), libc::SOCK_STREAM.into(), protocol])?;
    done(call(libc::SYS_connect, &[fd, at(&loopback(port)), 16]))
}

fn fast_open(port: u16) -> Outcome {
    let fd = call(libc::SYS_socket, &[libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0])?;
    let flags = i64::from(libc::MSG_FASTOPEN);
    call(libc::SYS_sendto, &[fd, at(b"x"), 1, flags, at(&loopback(port)), 16])?;
    let mut said = [0_u8; 16];
    let into = crate::sys::at_mut(&mut said);
    let length = call(libc::SYS_read, &[fd, into, 16])?;
    if length > 0 { Ok(String::new()) } else { Err(Errno::EPROTO) }
}
