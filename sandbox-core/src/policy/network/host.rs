//! Hosts and ports as profiles write them, and as clients of the proxy ask for them.

use super::class::Special;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Why a text is no host, port or entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// Not a name that DNS could hold.
    #[error("not a host name; names are letters, digits, `-` and `_` in parts between dots")]
    Name,
    /// Letters beyond ASCII.
    #[error("write the name as DNS has it (`xn--…`)")]
    NotAscii,
    /// Something like `127.1` or `0x7f000001`.
    #[error("an address of numbers must have its four parts, each a plain number up to 255")]
    OddAddress,
    /// A `*` that is not the whole first part.
    #[error("`*` stands for the first parts of a name (`*.example.com`), or alone for any name")]
    Wildcard,
    /// A port.
    #[error("a port is a number from 1 to 65535, `FROM-TO`, or `*`")]
    Port,
    /// A net with bits set behind its length.
    #[error("not a net: bits are set behind the prefix length")]
    Net,
}

/// A name in small letters without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DomainName(String);

impl DomainName {
    /// Longest name and longest part DNS can hold (RFC 1035).
    const LONGEST: usize = 253;
    const LONGEST_PART: usize = 63;

    /// Reads a name.
    ///
    /// # Errors
    /// [`BadHost`] if DNS could not hold it, or if a resolver would take it for an address.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        if !text.is_ascii() {
            return Err(BadHost::NotAscii);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let good = |part: &str| {
            (1..=Self::LONGEST_PART).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > Self::LONGEST || !name.split('.').all(good) {
            return Err(BadHost::Name);
        }
        // `getaddrinfo` reads these as IPv4 (inet_aton(3)): one name, two meanings.
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|b| b.is_ascii_digit());
        let hexadecimal = last
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if number || hexadecimal {
            return Err(BadHost::OddAddress);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies below `tree`, and is not `tree` itself.
    fn is_below(&self, tree: &DomainName) -> bool {
        self.0.strip_suffix(&tree.0).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// By name.
    Name(DomainName),
    /// By address.
    Address(IpAddr),
}

impl Host {
    /// Reads a name or an address, with or without the brackets of an IPv6 address in a URL.
    ///
    /// # Errors
    /// [`BadHost`] if it is neither.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::Address(ip.to_canonical())),
            Err(_) => DomainName::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Ports from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// One port.
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether a port is one of them.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// What both have.
    pub(super) fn meet(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }
}

impl FromStr for PortRange {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let number = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(BadHost::Port),
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first <= last { Ok(Self { first, last }) } else { Err(BadHost::Port) }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// The ports an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ports {
    /// 80 and 443: what a name without a port means.
    Web,
    /// All: what an address without a port means.
    Any,
    /// These.
    Range(PortRange),
}

impl Ports {
    /// Of a name that is written without any.
    const WEB: [u16; 2] = [80, 443];

    fn contains(self, port: u16) -> bool {
        match self {
            Self::Web => Self::WEB.contains(&port),
            Self::Any => true,
            Self::Range(range) => range.contains(port),
        }
    }

    /// What both have; `None` also where that is one of the two web ports in a range, which takes
    /// two entries to say.
    fn meet(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, ports) | (ports, Self::Any) => Some(ports),
            (Self::Web, Self::Web) => Some(Self::Web),
            (Self::Range(a), Self::Range(b)) => a.meet(b).map(Self::Range),
            (Self::Web, Self::Range(range)) | (Self::Range(range), Self::Web) => {
                let inside: Vec<u16> =
                    Self::WEB.into_iter().filter(|port| range.contains(*port)).collect();
                match inside.as_slice() {
                    [] => None,
                    [port] => Some(Self::Range(PortRange::one(*port))),
                    _ => Some(Self::Web),
                }
            }
        }
    }
}

/// Which hosts an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostPattern {
    /// One name.
    Name(DomainName),
    /// Every name below this one.
    Below(DomainName),
    /// Every name.
    AnyName,
    /// The addresses of a net; one address is a net of its own.
    Net(IpNet),
}

impl HostPattern {
    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Name(asked)) => name == asked,
            (Self::Below(tree), Host::Name(asked)) => asked.is_below(tree),
            (Self::AnyName, Host::Name(_)) => true,
            (Self::Net(net), Host::Address(ip)) => net.contains(&ip.to_canonical()),
            (Self::Net(_), Host::Name(_)) | (_, Host::Address(_)) => false,
        }
    }

    /// Whether everything the other is about is in this one. Two patterns either lie in one another
    /// or have nothing in common.
    fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net(outer), Self::Net(inner)) => outer.contains(inner),
            (Self::Net(_), _) | (_, Self::Net(_)) => false,
            (Self::AnyName, _) => true,
            (_, Self::AnyName) => false,
            (Self::Name(a), Self::Name(b)) => a == b,
            (Self::Name(_), Self::Below(_)) => false,
            (Self::Below(tree), Self::Name(name)) => name.is_below(tree),
            (Self::Below(outer), Self::Below(inner)) => outer == inner || inner.is_below(outer),
        }
    }
}

impl FromStr for HostPattern {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net(IpNet::from(ip.to_canonical())));
        }
        if text.contains('/') {
            let net: IpNet = text.parse().map_err(|_| BadHost::Net)?;
            return if net.trunc() == net { Ok(Self::Net(net)) } else { Err(BadHost::Net) };
        }
        match text.strip_prefix("*.") {
            Some(tree) if !tree.contains('*') => DomainName::parse(tree).map(Self::Below),
            Some(_) => Err(BadHost::Wildcard),
            None if text == "*" => Ok(Self::AnyName),
            None if text.contains('*') => Err(BadHost::Wildcard),
            None => DomainName::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Below(tree) => write!(f, "*.{tree}"),
            Self::AnyName => f.write_str("*"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
        }
    }
}

/// Hosts and ports: `example.com`, `*.example.com:8443`, `10.0.0.0/8`, `[2001:db8::1]:5432`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostRule {
    /// The hosts.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
}

impl HostRule {
    /// Whether the rule is about a host and port that somebody asks for.
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        self.host.covers(host) && self.ports.contains(port)
    }

    /// The same for an address.
    pub(super) fn covers_address(&self, at: SocketAddr) -> bool {
        self.covers(&Host::Address(at.ip()), at.port())
    }

    /// The address and port it is about, if that is one.
    pub(super) fn single(&self) -> Option<SocketAddr> {
        match (&self.host, self.ports) {
            (HostPattern::Net(net), Ports::Range(range))
                if net.prefix_len() == net.max_prefix_len() && range.first == range.last =>
            {
                Some(SocketAddr::new(net.addr(), range.first))
            }
            _ => None,
        }
    }

    /// Whether it is about nothing but special addresses.
    pub(super) fn is_special(&self) -> bool {
        matches!(&self.host, HostPattern::Net(net) if Special::holds(*net))
    }

    /// What both are about.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let inner = if self.host.holds(&other.host) {
            &other.host
        } else if other.host.holds(&self.host) {
            &self.host
        } else {
            return None;
        };
        Some(Self { host: inner.clone(), ports: self.ports.meet(other.ports)? })
    }
}

impl FromStr for HostRule {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let (host, ports) = split(text);
        let host: HostPattern = host.parse()?;
        let ports = match ports {
            Some("*") => Ports::Any,
            Some(ports) => Ports::Range(ports.parse()?),
            None if matches!(host, HostPattern::Net(_)) => Ports::Any,
            None => Ports::Web,
        };
        Ok(Self { host, ports })
    }
}

/// Host and ports. The colons of a bare IPv6 address are its own.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(ports) => (host, Some(ports)),
            None if rest.is_empty() => (host, None),
            // Not an entry; the brackets make that plain to whoever reads it as a host.
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, ports)) if !ports.contains(':') => (host, Some(ports)),
        _ => (text, None),
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = match (self.ports, &self.host) {
            (Ports::Web, _) | (Ports::Any, HostPattern::Net(_)) => return self.host.fmt(f),
            (Ports::Any, _) => "*".to_owned(),
            (Ports::Range(range), _) => range.to_string(),
        };
        match self.host {
            HostPattern::Net(IpNet::V6(_)) => write!(f, "[{}]:{ports}", self.host),
            _ => write!(f, "{}:{ports}", self.host),
        }
    }
}
