//! Ports that somebody outside of the run serves.

use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Whether a socket that is not `known` serves what comes to `at`, by either protocol: the program can
/// change at any moment whether a socket of IPv6 takes what comes by IPv4 as well.
pub(super) fn is_of_others(
    like: &OwnedFd,
    at: SocketAddr,
    known: impl Fn(u64) -> bool,
) -> Result<bool, Errno> {
    let (tables, served) = match getsockopt(like, sockopt::SockType)? {
        SockType::Datagram => (["udp", "udp6"], Served::Datagrams),
        _ => (["tcp", "tcp6"], Served::Connections),
    };
    let other = |entry: &Entry| entry.takes(at) && !known(entry.inode);
    Ok(tables.into_iter().any(|name| is_listed(|| entries(name, served), other)))
}

/// Whether a table has an entry like this.
///
/// The kernel reads it out in pieces and goes on by counting: where something that it has listed is
/// gone by then, it leaves out something else. Who is gone is missing from the next reading, so one
/// that is like the one before it says that that one was whole. A table that does not come to rest
/// may have anybody in it.
fn is_listed(read: impl Fn() -> io::Result<Vec<Entry>>, wanted: impl Fn(&Entry) -> bool) -> bool {
    const READINGS: usize = 16;
    let mut before = None;
    for _ in 0..READINGS {
        let now = match read() {
            Ok(now) => now,
            // A kernel without IPv6 has one table less; of what cannot be read nothing is known.
            Err(error) => return error.kind() != io::ErrorKind::NotFound,
        };
        if now.iter().any(&wanted) {
            return true;
        }
        if before.as_ref() == Some(&now) {
            return false;
        }
        before = Some(now);
    }
    true
}

/// Reads `/proc/net/tcp`, `tcp6`, `udp` or `udp6` (proc_pid_net(5)).
fn entries(name: &str, served: Served) -> io::Result<Vec<Entry>> {
    let table = std::fs::read_to_string(format!("/proc/thread-self/net/{name}"))?;
    Ok(table.lines().filter_map(|line| Entry::of(line, served)).collect())
}

/// What a line of a table has to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Connections,
    Datagrams,
}

/// A socket that takes what comes to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    inode: u64,
}

impl Entry {
    /// The socket of a line, if it is such a one.
    fn of(line: &str, served: Served) -> Option<Self> {
        const LISTENING: &str = "0A";
        /// Unconnected and connected. The second takes its peer's answers, and so would whoever shares
        /// its port and connects to that peer.
        const DATAGRAMS: [&str; 2] = ["07", "01"];
        let mut words = line.split_whitespace().skip(1);
        let (local, _remote, state) = (words.next()?, words.next()?, words.next()?);
        let inode = words.nth(5)?.parse().ok()?;
        let right = match served {
            Served::Connections => state == LISTENING,
            Served::Datagrams => DATAGRAMS.contains(&state),
        };
        // Sockets without an inode are closed ones that linger.
        (right && inode != 0).then_some(Self { local: address(local)?, inode })
    }

    /// Whether it takes what comes to `at`.
    fn takes(&self, at: SocketAddr) -> bool {
        let (mine, theirs) = (at.ip().to_canonical(), self.local.ip().to_canonical());
        let same = mine == theirs || mine.is_unspecified() || theirs.is_unspecified();
        self.local.port() == at.port() && same
    }
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
        let serves = |line, served, at: &str| {
            let entry = Entry::of(line, served).filter(|entry| entry.takes(at.parse().unwrap()));
            entry.map(|entry| entry.inode)
        };
        let connections = |address| serves(tcp, Served::Connections, address);
        assert_eq!(connections("127.0.0.1:8080"), Some(4711));
        assert_eq!(connections("0.0.0.0:8080"), Some(4711));
        assert_eq!(connections("[::ffff:127.0.0.1]:8080"), Some(4711));
        assert_eq!(connections("127.0.0.2:8080"), None);
        assert_eq!(connections("127.0.0.1:8081"), None);
        assert_eq!(serves(tcp, Served::Datagrams, "127.0.0.1:8080"), None);
        let udp = "  9: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 \
                   07 00000000:00000000 00:00000000 00000000     0        0 12 2 0000000000000000 0";
        assert_eq!(serves(udp, Served::Datagrams, "[::1]:53"), Some(12));
        let connected = "  9: 0100007F:0035 0100007F:0036 01 00000000:00000000 00:00000000 00000000 \
                         0 0 13 2 0000000000000000 0";
        assert_eq!(serves(connected, Served::Datagrams, "127.0.0.1:53"), Some(13));
        assert_eq!(serves(connected, Served::Connections, "127.0.0.1:53"), None);
        let head =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
        assert_eq!(serves(head, Served::Connections, "127.0.0.1:8080"), None);
    }

    #[test]
    fn a_table_that_changes_is_read_again() {
        let entry = |inode| Entry { local: "127.0.0.1:53".parse().unwrap(), inode };
        let readings = |all: Vec<Vec<u64>>| {
            let left = std::cell::RefCell::new(all.into_iter());
            let read = || {
                let next = left.borrow_mut().next().expect("no more is read than that");
                Ok(next.into_iter().map(entry).collect())
            };
            is_listed(read, |entry| entry.inode == 7)
        };
        assert!(readings(vec![vec![7]]));
        assert!(!readings(vec![vec![1], vec![1]]));
        assert!(!readings(vec![vec![], vec![]]));
        // The first reading left out the one behind what was gone.
        assert!(readings(vec![vec![1, 2], vec![2, 7]]));
        assert!(!readings(vec![vec![1, 2], vec![2], vec![2]]));
        assert!(readings((0..16).map(|inode| vec![100 + inode]).collect()));
        let failing = |kind: io::ErrorKind| is_listed(|| Err(kind.into()), |_| false);
        assert!(failing(io::ErrorKind::PermissionDenied));
        assert!(!failing(io::ErrorKind::NotFound));
    }
}
