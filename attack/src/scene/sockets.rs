//! Sockets of the host. Each greets whoever reaches it, for as long as this process lives.

use super::GREETING;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use std::io::{self, Write};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;

/// Ports of this machine.
pub(super) struct Ports {
    pub(super) tcp: u16,
    pub(super) udp: u16,
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
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let answered = udp.local_addr()?.port();
    std::thread::spawn(move || {
        while let Ok((_, from)) = udp.recv_from(&mut [0; 16]) {
            let _gone = udp.send_to(GREETING.as_bytes(), from);
        }
    });
    Ok(Ports { tcp: port, udp: answered })
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
