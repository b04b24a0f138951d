//! Ports that somebody outside of the run serves.
//!
//! A port can be shared: TCP by those that ask for it (`SO_REUSEPORT` in socket(7)), UDP by those that
//! merely ask for reuse. Who comes to it then gets connections and datagrams that were meant for who
//! was there first, and a socket that is tied to a device gets all of them (`compute_score` in
//! net/ipv4/udp.c and inet_hashtables.c). So a command shares a port with its own run and with nobody
//! else.

use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::stat::fstat;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Sockets of a run that are remembered: more than servers start workers.
const MOST: usize = 4096;

/// The sockets of a run that may share their ports, by inode.
#[derive(Debug, Default)]
pub(super) struct SharedPorts(Mutex<VecDeque<u64>>);

impl SharedPorts {
    /// Binds a socket to `at`, which a program gave as `address`, unless somebody outside of the run
    /// serves that: `EADDRINUSE`, as for who does not share.
    pub(super) fn bind(
        &self,
        socket: &OwnedFd,
        at: SocketAddr,
        address: &[u8],
    ) -> Result<(), Errno> {
        // One after the other: what is tried below is in the way of others for a moment.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_in_use(socket, at, address)? && is_of_others(socket, at, &known)? {
            return Err(Errno::EADDRINUSE);
        }
        sys::bind(socket.as_fd(), address)?;
        let shares = getsockopt(socket, sockopt::ReusePort) == Ok(true)
            || getsockopt(socket, sockopt::ReuseAddr) == Ok(true);
        if shares {
            known.push_back(fstat(socket)?.st_ino);
            if known.len() > MOST {
                known.pop_front();
            }
        }
        Ok(())
    }
}

/// Whether a socket of the same kind that shares nothing could not be bound there. Whatever the
/// program's own asks for: it may ask for something else a moment later.
fn is_in_use(like: &OwnedFd, at: SocketAddr, address: &[u8]) -> Result<bool, Errno> {
    if at.port() == 0 {
        return Ok(false);
    }
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = getsockopt(like, sockopt::SockType)?;
    let other = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if at.is_ipv6() {
        setsockopt(&other, sockopt::Ipv6V6Only, &getsockopt(like, sockopt::Ipv6V6Only)?)?;
    }
    Ok(sys::bind(other.as_fd(), address) == Err(Errno::EADDRINUSE))
}

/// Whether a socket that is not among `known` serves what comes to `at`.
fn is_of_others(like: &OwnedFd, at: SocketAddr, known: &VecDeque<u64>) -> Result<bool, Errno> {
    let (tables, served) = match getsockopt(like, sockopt::SockType)? {
        SockType::Datagram => (["udp", "udp6"], Served::Datagrams),
        _ => (["tcp", "tcp6"], Served::Connections),
    };
    // Sockets without an inode are closed ones that linger.
    let other = |inode: u64| inode != 0 && !known.contains(&inode);
    Ok(tables.into_iter().any(|name| {
        match std::fs::read_to_string(format!("/proc/thread-self/net/{name}")) {
            Ok(table) => table.lines().filter_map(|line| serves(line, served, at)).any(other),
            // A kernel without IPv6 has one table less; what cannot be read may have anybody in it.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }))
}

/// What a line of a table has to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Connections,
    Datagrams,
}

/// The inode of a socket that takes what comes to `at`, if a line of `/proc/net/tcp`, `tcp6`, `udp`
/// or `udp6` (proc_pid_net(5)) is about such a one.
fn serves(line: &str, served: Served, at: SocketAddr) -> Option<u64> {
    const LISTENING: &str = "0A";
    /// Unconnected and connected. The second takes its peer's answers, and so would whoever shares its
    /// port and connects to that peer.
    const DATAGRAMS: [&str; 2] = ["07", "01"];
    let mut words = line.split_whitespace().skip(1);
    let (local, _remote, state) = (words.next()?, words.next()?, words.next()?);
    let inode = words.nth(5)?.parse().ok()?;
    let right = match served {
        Served::Connections => state == LISTENING,
        Served::Datagrams => DATAGRAMS.contains(&state),
    };
    let local = address(local)?;
    let (mine, theirs) = (at.ip().to_canonical(), local.ip().to_canonical());
    let same = mine == theirs || mine.is_unspecified() || theirs.is_unspecified();
    (right && local.port() == at.port() && same).then_some(inode)
}

/// `0100007F:1F90`: words of an address in the processor's order of bytes, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernels_tables_are_read() {
        let tcp = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
                   1000        0 4711 1 0000000000000000 100 0 0 10 0";
        let at = |text: &str| text.parse().unwrap();
        let connections = |address| serves(tcp, Served::Connections, at(address));
        assert_eq!(connections("127.0.0.1:8080"), Some(4711));
        assert_eq!(connections("0.0.0.0:8080"), Some(4711));
        assert_eq!(connections("[::ffff:127.0.0.1]:8080"), Some(4711));
        assert_eq!(connections("127.0.0.2:8080"), None);
        assert_eq!(connections("127.0.0.1:8081"), None);
        assert_eq!(serves(tcp, Served::Datagrams, at("127.0.0.1:8080")), None);
        let udp = "  9: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 \
                   07 00000000:00000000 00:00000000 00000000     0        0 12 2 0000000000000000 0";
        assert_eq!(serves(udp, Served::Datagrams, at("[::1]:53")), Some(12));
        let connected = "  9: 0100007F:0035 0100007F:0036 01 00000000:00000000 00:00000000 00000000 \
                         0 0 13 2 0000000000000000 0";
        assert_eq!(serves(connected, Served::Datagrams, at("127.0.0.1:53")), Some(13));
        assert_eq!(serves(connected, Served::Connections, at("127.0.0.1:53")), None);
        let head =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
        assert_eq!(serves(head, Served::Connections, at("127.0.0.1:8080")), None);
    }
}
