//! Sockets of the host. Each greets whoever reaches it, for as long as this process lives.

use super::GREETING;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

/// Ports of this machine.
pub(super) struct Ports {
    pub(super) tcp: u16,
    pub(super) udp: u16,
    pub(super) outer: SocketAddrV4,
}

/// Opens them all.
pub(super) fn open(folder: &Path, name: &str) -> io::Result<Ports> {
    greet(UnixListener::bind(folder.join("stream.sock"))?);
    greet(UnixListener::bind(folder.join("movable.sock"))?);
    greet(UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?);
    packets(&folder.join("packets.sock"))?;
    let mail = UnixDatagram::bind(folder.join("datagrams.sock"))?;
    std::thread::spawn(move || while mail.recv(&mut [0; 16]).is_ok() {});
    // One socket for both families, where there are both.
    let any = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0));
    let tcp = any.or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    let port = tcp.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let _gone = (&stream).write_all(GREETING.as_bytes());
        }
    });
    let outer = outer_ip();
    let udp = answer(Ipv4Addr::LOCALHOST, outer)?.port();
    let outer = match outer {
        Some(ip) => answer(ip, None)?,
        None => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    Ok(Ports { tcp: port, udp, outer })
}

/// Answers datagrams at this address, from this address alone. Who sends the two bytes of a port
/// there has `outer` knock at it.
fn answer(ip: Ipv4Addr, outer: Option<Ipv4Addr>) -> io::Result<SocketAddrV4> {
    let udp = UdpSocket::bind((ip, 0))?;
    let port = udp.local_addr()?.port();
    std::thread::spawn(move || {
        let mut said = [0; 16];
        while let Ok((length, from)) = udp.recv_from(&mut said) {
            match (outer, length) {
                (Some(outer), 2) => knock(outer, u16::from_be_bytes([said[0], said[1]])),
                _ if from.ip() == ip => drop(udp.send_to(GREETING.as_bytes(), from)),
                _ => {}
            }
        }
    });
    Ok(SocketAddrV4::new(ip, port))
}

/// Sends to a port of this machine and connects to it, from its outer address to the same. Whether
/// anybody is there is not this end's question.
fn knock(outer: Ipv4Addr, port: u16) {
    let at = (outer, port);
    let _sent = UdpSocket::bind((outer, 0)).and_then(|from| from.send_to(b"knock", at));
    let patience = Duration::from_millis(200);
    let _reached = TcpStream::connect_timeout(&at.into(), patience);
}

/// The address by which other machines know this one: what a datagram to another would have as its
/// source. Nothing is sent.
fn outer_ip() -> Option<Ipv4Addr> {
    /// For documents; nobody has it (RFC 5737).
    const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((ELSEWHERE, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    }
}

fn greet(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _gone = (&stream).write_all(GREETING.as_bytes());
        }
    });
}

/// A sequenced-packet socket that only listens: a connection waits in its queue.
fn packets(path: &Path) -> io::Result<()> {
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&listener, Backlog::new(16)?)?;
    // Kept open by a thread that waits for nobody.
    std::thread::spawn(move || {
        let _listener = listener;
        loop {
            std::thread::park();
        }
    });
    Ok(())
}
