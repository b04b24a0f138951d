//! Kinds of addresses.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Addresses that no mode reaches unless an entry names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Special {
    /// Valid on one link only; cloud metadata services are there.
    LinkLocal,
    /// A metadata service of a cloud at another address.
    Metadata,
}

/// Metadata services outside of the link-local range: Alibaba, Azure, Oracle; AWS over IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// The address that is reached when `address` is asked for: IPv4 in IPv6 is IPv4, and the
/// unspecified address means this machine (ip(7), tcp_v6_connect).
#[must_use]
pub fn meant(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What is special about an address, also where it is inside of an IPv6 address.
pub(super) fn special(ip: IpAddr) -> Option<Special> {
    let inner = match ip {
        IpAddr::V6(ip) => embedded(ip).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    [Some(ip), inner].into_iter().flatten().find_map(|ip| {
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if link_local {
            return Some(Special::LinkLocal);
        }
        METADATA.contains(&ip).then_some(Special::Metadata)
    })
}

impl Special {
    /// Whether every address of `net` is special.
    pub(super) fn holds(net: IpNet) -> bool {
        special(net.network()).is_some() && special(net.broadcast()).is_some() && narrow(net)
    }
}

/// Narrow enough to be within the link-local ranges, the only special ones that are nets.
fn narrow(net: IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() >= 16,
        IpNet::V6(net) => net.prefix_len() >= 10,
    }
}

/// The IPv4 address a translator or tunnel would take from an IPv6 address: NAT64 (RFC 6052), 6to4,
/// IPv4-compatible, IPv4-mapped.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [a, b, c, d, e, f] {
        [0x64, 0xff9b, 0, 0, 0, 0] | [0, 0, 0, 0, 0, 0 | 0xffff] => Some(pair(g, h)),
        [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

/// Nets whose addresses are not public (IANA's registries of special-purpose addresses).
const PRIVATE_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Global unicast is this one net; within it, Teredo, ORCHID, documentation and 6to4 are not
/// places to connect to.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const PRIVATE_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is on the public internet.
#[must_use]
pub fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !PRIVATE_V4.iter().any(|(net, length)| in_v4(*net, *length, ip)),
        IpAddr::V6(ip) => {
            // Behind NAT64 it is as public as what it stands for.
            if let Some(inner) = embedded(ip).filter(|_| ip.segments()[0] == 0x64) {
                return is_global(IpAddr::V4(inner));
            }
            in_v6(GLOBAL_V6.0, GLOBAL_V6.1, ip)
                && !PRIVATE_V6.iter().any(|(net, length)| in_v6(*net, *length, ip))
        }
    }
}

fn in_v4(net: Ipv4Addr, length: u8, ip: Ipv4Addr) -> bool {
    Ipv4Net::new(net, length).is_ok_and(|net| net.contains(&ip))
}

fn in_v6(net: Ipv6Addr, length: u8, ip: Ipv6Addr) -> bool {
    Ipv6Net::new(net, length).is_ok_and(|net| net.contains(&ip))
}
