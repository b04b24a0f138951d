//! IP, and what calls itself a socket.

use super::{did, done, io};
use crate::sys::{at, call};
use crate::{Expect, Outcome, Probe};
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
    Probe::new("mptcp", "TCP by another protocol number", |t| stream_by(262, t.tcp)).if_built(),
    Probe::new("sctp", "the same", |_| made(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP))
        .if_built(),
    Probe::new("fast-open", "connect without a connect", |t| fast_open(t.tcp))
        .expect(Expect::ByNetwork),
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
    Probe::new("routes", "ask for routes", |_| made(libc::AF_NETLINK, libc::SOCK_RAW, 0))
        .expect(Expect::Works),
    Probe::new("listen", "take connections", |_| {
        did(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))))
    })
    .expect(Expect::ByLoopback),
];

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

/// `struct sockaddr_in` of a port of this machine.
fn loopback(port: u16) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&2_u16.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
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
