//! Socket addresses, parsed once from bytes that were copied once.

use crate::rate::Family;

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
    /// AF_INET or AF_INET6.
    Inet,
    /// AF_UNSPEC: dissolve the association.
    Unspecified,
    /// Another family.
    Other(u16),
    /// Too short to have a family, or a UNIX address longer than one can be. The kernel's error.
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
            libc::AF_INET | libc::AF_INET6 => Address::Inet,
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
            Address::Inet => Family::Inet,
            Address::Unspecified | Address::Other(_) | Address::Malformed => Family::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(name: &[u8]) -> Address {
        Address::parse(&[&1u16.to_ne_bytes()[..], name].concat())
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
        assert_eq!(Address::parse(&2u16.to_ne_bytes()), Address::Inet);
        assert_eq!(Address::parse(&10u16.to_ne_bytes()), Address::Inet);
        assert_eq!(Address::parse(&16u16.to_ne_bytes()), Address::Other(16));
    }
}
