//! Socket addresses, parsed once from bytes that were copied once.

use crate::rate::Family;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// `sizeof(sa_family_t)`.
const FAMILY_SIZE: usize = 2;
/// Room for a path in `sockaddr_un`; a path may fill it without a terminator (unix(7)).
const PATH_SIZE: usize = 108;

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A file's path: bytes up to the first NUL or the given length, not empty.
    UnixPath(Vec<u8>),
    /// An abstract name, without its leading NUL.
    UnixAbstract(Vec<u8>),
    /// The AF_UNIX family alone: `bind` picks an abstract name.
    UnixUnnamed,
    /// AF_INET or AF_INET6, in full length.
    Inet(SocketAddr),
    /// AF_UNSPEC: dissolve the association.
    Unspecified,
    /// Another family.
    Other(u16),
    /// Too short for its family or to have one, or a UNIX address longer than one can be. The
    /// kernel's error.
    Malformed,
}

impl Address {
    /// Parses the address a program passed with its length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Address {
        let Some((family, rest)) = bytes.split_first_chunk::<FAMILY_SIZE>() else {
            return Address::Malformed;
        };
        match i32::from(u16::from_ne_bytes(*family)) {
            libc::AF_UNIX => Self::parse_unix(rest),
            libc::AF_INET => parse_v4(rest).map_or(Address::Malformed, Address::Inet),
            libc::AF_INET6 => parse_v6(rest).map_or(Address::Malformed, Address::Inet),
            libc::AF_UNSPEC => Address::Unspecified,
            _ => Address::Other(u16::from_ne_bytes(*family)),
        }
    }

    fn parse_unix(name: &[u8]) -> Address {
        match name {
            [] => Address::UnixUnnamed,
            _ if name.len() > PATH_SIZE => Address::Malformed,
            [0, rest @ ..] => Address::UnixAbstract(rest.to_vec()),
            path => {
                let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
                Address::UnixPath(path[..end].to_vec())
            }
        }
    }

    /// The family the address claims. For charging only; verdicts ask the socket.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Address::UnixPath(_) | Address::UnixAbstract(_) | Address::UnixUnnamed => Family::Unix,
            Address::Inet(_) => Family::Inet,
            Address::Unspecified | Address::Other(_) | Address::Malformed => Family::Other,
        }
    }

    /// The address as the kernel is to get it for a send. The unspecified address of IP, which means
    /// this machine, is spelled out: the kernel would send to the *source* of the message, and that
    /// can be one of the machine's other addresses (`ip_route_output_key_hash_rcu`).
    #[must_use]
    pub fn spelled_out<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Self::Inet(address) = self else { return bytes.into() };
        let (at, loopback): (_, &[u8]) = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (4, &[127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => (23, &[1]),
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified()) => {
                (20, &[127, 0, 0, 1])
            }
            _ => return bytes.into(),
        };
        let mut spelled = bytes.to_vec();
        if let Some(place) = spelled.get_mut(at..at + loopback.len()) {
            place.copy_from_slice(loopback);
        }
        spelled.into()
    }
}

/// `struct sockaddr_in` behind its family: port, address, padding up to 16 bytes in all.
fn parse_v4(rest: &[u8]) -> Option<SocketAddr> {
    const PADDED: usize = 14;
    let rest = rest.first_chunk::<PADDED>()?;
    let [p1, p0, a, b, c, d, ..] = *rest;
    Some(SocketAddr::new(IpAddr::from([a, b, c, d]), u16::from_be_bytes([p1, p0])))
}

/// `struct sockaddr_in6` behind its family: port, flow, address, and a scope that may be left out
/// (`SIN6_LEN_RFC2133` in the kernel).
fn parse_v6(rest: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (_flow, rest) = rest.split_first_chunk::<4>()?;
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let scope = rest.first_chunk::<4>().map_or(0, |scope| u32::from_ne_bytes(*scope));
    let address = SocketAddrV6::new(Ipv6Addr::from(*ip), u16::from_be_bytes(*port), 0, scope);
    Some(SocketAddr::V6(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(name: &[u8]) -> Address {
        Address::parse(&[&1u16.to_ne_bytes()[..], name].concat())
    }

    #[test]
    fn this_machine_is_spelled_out() {
        let v4 = |ip: [u8; 4]| [&2u16.to_ne_bytes()[..], &[0, 80], &ip, &[0; 8]].concat();
        let v6 = |ip: &str| {
            let ip: Ipv6Addr = ip.parse().unwrap();
            [&10u16.to_ne_bytes()[..], &[0, 80, 0, 0, 0, 0], &ip.octets(), &[0; 4]].concat()
        };
        for (written, meant) in [
            (v4([0; 4]), v4([127, 0, 0, 1])),
            (v4([10, 0, 0, 1]), v4([10, 0, 0, 1])),
            (v6("::"), v6("::1")),
            (v6("::ffff:0.0.0.0"), v6("::ffff:127.0.0.1")),
            (v6("fe80::1"), v6("fe80::1")),
        ] {
            assert_eq!(*Address::parse(&written).spelled_out(&written), meant);
        }
        assert_eq!(*unix(b"/a").spelled_out(b"/a"), *b"/a");
    }

    #[test]
    fn unix_addresses() {
        assert_eq!(unix(b"/a/b"), Address::UnixPath(b"/a/b".to_vec()));
        assert_eq!(unix(b"/a\0/ignored"), Address::UnixPath(b"/a".to_vec()));
        assert_eq!(unix(b"\0name"), Address::UnixAbstract(b"name".to_vec()));
        assert_eq!(unix(b""), Address::UnixUnnamed);
        assert_eq!(unix(b"\0"), Address::UnixAbstract(Vec::new()));
        assert_eq!(unix(&[b'x'; 108]), Address::UnixPath(vec![b'x'; 108]));
        assert_eq!(unix(&[b'x'; 109]), Address::Malformed);
        assert_eq!(unix(b"/\xff\xfe"), Address::UnixPath(b"/\xff\xfe".to_vec()));
    }

    #[test]
    fn other_addresses() {
        assert_eq!(Address::parse(&[]), Address::Malformed);
        assert_eq!(Address::parse(&[1]), Address::Malformed);
        assert_eq!(Address::parse(&[0, 0]), Address::Unspecified);
        assert_eq!(Address::parse(&16u16.to_ne_bytes()), Address::Other(16));
    }

    #[test]
    fn addresses_of_the_internet() {
        let address =
            |family: u16, rest: &[u8]| Address::parse(&[&family.to_ne_bytes()[..], rest].concat());
        let v4 = [0x1f, 0x90, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(address(2, &v4), Address::Inet("10.0.0.1:8080".parse().unwrap()));
        assert_eq!(address(2, &[&v4[..], b"more"].concat()), address(2, &v4));
        assert_eq!(address(2, &v4[..13]), Address::Malformed);
        let mut v6 = vec![0x1f, 0x90, 1, 2, 3, 4];
        v6.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(address(10, &v6), Address::Inet("[fe80::1]:8080".parse().unwrap()));
        let scoped = [&v6[..], &3u32.to_ne_bytes()].concat();
        assert_eq!(address(10, &scoped), Address::Inet("[fe80::1%3]:8080".parse().unwrap()));
        assert_eq!(address(10, &v6[..21]), Address::Malformed);
        assert_eq!(address(10, &[]), Address::Malformed);
    }
}
