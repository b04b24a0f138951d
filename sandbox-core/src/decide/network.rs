//! Verdicts on calls of IP sockets: the copied address and the policy in, what to do out.

use super::Address;
use crate::policy::{Binding, Closed, NetworkPolicy, NetworkReach};
use crate::record::{Kind, Reason};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What to do with a `connect` of an IP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpConnect<'p> {
    /// Perform it with the copied address.
    AsCopied,
    /// It is for the run's proxy: connected to the supervisor and handed to the server.
    Proxy,
    /// Refuse it and record this.
    Refuse(IpRefusal<'p>),
    /// The kernel would fail with this.
    Fail(Errno),
}

/// What to do with an addressed send of an IP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpSend<'p> {
    /// Perform it with the copied address.
    AsCopied,
    /// Tie the socket to the loopback device, then perform it.
    TieFirst,
    /// Refuse it and record this.
    Refuse(IpRefusal<'p>),
    /// The kernel would fail with this.
    Fail(Errno),
}

/// What to do with a `bind` or `listen` of an IP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpBind<'p> {
    /// Perform it.
    AsAsked,
    /// Tie the socket to the loopback device, then perform it.
    OnLoopback,
    /// Refuse it and record this.
    Refuse(IpRefusal<'p>),
    /// The kernel would fail with this.
    Fail(Errno),
}

/// A refusal, as far as the policy tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRefusal<'p> {
    /// What the denial is about.
    pub kind: Kind,
    /// Why.
    pub reason: Reason,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// The closed address in a few words.
    pub closed: Option<Closed<'p>>,
}

/// The verdict on connecting to a copied address. One of no family dissolves a connection.
#[must_use]
pub fn ip_connect<'p>(policy: &'p NetworkPolicy, address: &Address) -> IpConnect<'p> {
    let address = match address {
        Address::Inet(address) => *address,
        Address::Unspecified => return IpConnect::AsCopied,
        Address::Malformed => return IpConnect::Fail(Errno::EINVAL),
        _ => return IpConnect::Fail(Errno::EAFNOSUPPORT),
    };
    match policy.reach(address) {
        NetworkReach::Direct => IpConnect::AsCopied,
        NetworkReach::Proxy => IpConnect::Proxy,
        NetworkReach::Closed(closed) => IpConnect::Refuse(no_grant(address, closed)),
    }
}

/// The verdict on sending to a copied address. `has_port`: whether the socket has one already; asked
/// only where it matters.
///
/// The kernel would take an address of no family for IPv4 (`udp_sendmsg`), which nobody needs. The
/// proxy takes no datagrams.
#[must_use]
pub fn ip_send<'p>(
    policy: &'p NetworkPolicy,
    address: &Address,
    has_port: impl FnOnce() -> bool,
) -> IpSend<'p> {
    let address = match address {
        Address::Inet(address) => *address,
        Address::Malformed => return IpSend::Fail(Errno::EINVAL),
        _ => return IpSend::Fail(Errno::EAFNOSUPPORT),
    };
    match policy.reach(address) {
        NetworkReach::Direct if policy.ties_sender(has_port) => IpSend::TieFirst,
        NetworkReach::Direct => IpSend::AsCopied,
        NetworkReach::Proxy => IpSend::Refuse(no_grant(address, Closed::Own)),
        NetworkReach::Closed(closed) => IpSend::Refuse(no_grant(address, closed)),
    }
}

fn no_grant(address: SocketAddr, closed: Closed<'_>) -> IpRefusal<'_> {
    let kind = if closed == Closed::Dns { Kind::Dns } else { Kind::NetConnect };
    IpRefusal { kind, reason: Reason::NoGrant, address, closed: Some(closed) }
}

/// The verdict on binding a copied address.
#[must_use]
pub fn ip_bind<'p>(policy: &'p NetworkPolicy, address: &Address) -> IpBind<'p> {
    match address {
        Address::Inet(address) => binding(*address, policy.binding(*address)),
        Address::Malformed => IpBind::Fail(Errno::EINVAL),
        _ => IpBind::Fail(Errno::EAFNOSUPPORT),
    }
}

/// The verdict on listening at the address a socket has; one that has none gets a port of the
/// kernel's choice on all addresses. So does one whose address another thread dissolves just before
/// the call: hence what listens on loopback is tied to it as well.
#[must_use]
pub fn ip_listen<'p>(policy: &'p NetworkPolicy, address: Option<SocketAddr>) -> IpBind<'p> {
    let address = address.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    match binding(address, policy.listening(address)) {
        IpBind::AsAsked if policy.mode.is_closed() && address.ip().to_canonical().is_loopback() => {
            IpBind::OnLoopback
        }
        verdict => verdict,
    }
}

fn binding<'p>(address: SocketAddr, binding: Binding) -> IpBind<'p> {
    match binding {
        Binding::AsAsked => IpBind::AsAsked,
        Binding::OnLoopback => IpBind::OnLoopback,
        Binding::PortClosed | Binding::NotExposed | Binding::OfServer => {
            IpBind::Refuse(IpRefusal {
                kind: Kind::NetBind,
                reason: Reason::NoGrant,
                address,
                closed: (binding == Binding::OfServer).then_some(Closed::Own),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{NetworkMode, PortRange};

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    #[test]
    fn an_address_without_a_family_dissolves_and_sends_nothing() {
        let policy = NetworkPolicy::of_mode(NetworkMode::Loopback);
        let connects = |address| ip_connect(&policy, &address);
        let sends = |address| ip_send(&policy, &address, || true);
        assert_eq!(connects(Address::Unspecified), IpConnect::AsCopied);
        assert_eq!(sends(Address::Unspecified), IpSend::Fail(Errno::EAFNOSUPPORT));
        let path = || Address::UnixPath(b"/x".to_vec());
        assert_eq!(connects(path()), IpConnect::Fail(Errno::EAFNOSUPPORT));
        assert_eq!(sends(path()), IpSend::Fail(Errno::EAFNOSUPPORT));
        assert_eq!(connects(Address::Malformed), IpConnect::Fail(Errno::EINVAL));
        assert_eq!(sends(Address::Malformed), IpSend::Fail(Errno::EINVAL));
        assert_eq!(ip_bind(&policy, &Address::Unspecified), IpBind::Fail(Errno::EAFNOSUPPORT));
    }

    #[test]
    fn kinds_of_refusals() {
        let proxy = "127.0.0.1:4000".parse().ok();
        let policy = NetworkPolicy { proxy, ..NetworkPolicy::of_mode(NetworkMode::Proxy) };
        let connect = |address: &str| match ip_connect(&policy, &inet(address)) {
            IpConnect::Refuse(refusal) => Some(refusal.kind),
            _ => None,
        };
        let send = |address: &str| match ip_send(&policy, &inet(address), || true) {
            IpSend::Refuse(refusal) => Some((refusal.kind, refusal.closed)),
            _ => None,
        };
        assert_eq!(connect("8.8.8.8:53"), Some(Kind::Dns));
        assert_eq!(send("8.8.8.8:53"), Some((Kind::Dns, Some(Closed::Dns))));
        assert_eq!(connect("8.8.8.8:54"), Some(Kind::NetConnect));
        assert_eq!(connect("127.0.0.1:9"), None);
        assert_eq!(ip_connect(&policy, &inet("127.0.0.1:4000")), IpConnect::Proxy);
        assert_eq!(send("127.0.0.1:4000"), Some((Kind::NetConnect, Some(Closed::Own))));
        for address in [None, "127.0.0.1:80".parse().ok(), "[::ffff:127.0.0.1]:80".parse().ok()] {
            assert_eq!(ip_listen(&policy, address), IpBind::OnLoopback, "{address:?}");
        }
    }

    #[test]
    fn who_sends_is_tied_unless_it_may_be_exposed() {
        let sends = |policy: &NetworkPolicy, has_port| {
            ip_send(policy, &inet("127.0.0.1:9"), || has_port) == IpSend::TieFirst
        };
        for mode in [NetworkMode::Loopback, NetworkMode::Proxy] {
            let closed = NetworkPolicy::of_mode(mode);
            assert!(sends(&closed, true) && sends(&closed, false));
            let expose = vec![PortRange::one(8000)];
            let exposed = NetworkPolicy { expose, ..closed };
            assert!(!sends(&exposed, true) && sends(&exposed, false));
        }
        for mode in [NetworkMode::Hosts, NetworkMode::Open] {
            assert!(!sends(&NetworkPolicy::of_mode(mode), false));
        }
    }
}
