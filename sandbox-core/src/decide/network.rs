//! Verdicts on calls of IP sockets: the copied address and the policy in, what to do out.

use super::Address;
use crate::policy::{Binding, Closed, NetworkPolicy, NetworkReach};
use crate::record::{Kind, Reason};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What to do with a `connect` of an IP socket, or with an addressed send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpCall<'p> {
    /// Perform it with the copied address.
    AsCopied,
    /// It is for the run's proxy: connected to the supervisor and handed to the server.
    Proxy,
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

/// The verdict on connecting to, or sending to, a copied address.
///
/// An address of no family dissolves a connection. In a send the kernel would take it for IPv4
/// (`udp_sendmsg`), which nobody needs.
#[must_use]
pub fn ip_call<'p>(policy: &'p NetworkPolicy, address: &Address, connects: bool) -> IpCall<'p> {
    let address = match address {
        Address::Inet(address) => *address,
        Address::Unspecified if connects => return IpCall::AsCopied,
        Address::Malformed => return IpCall::Fail(Errno::EINVAL),
        _ => return IpCall::Fail(Errno::EAFNOSUPPORT),
    };
    match policy.reach(address) {
        NetworkReach::Direct => IpCall::AsCopied,
        NetworkReach::Proxy if connects => IpCall::Proxy,
        NetworkReach::Proxy => refuse(Kind::NetConnect, address, Closed::Own),
        NetworkReach::Closed(closed) => {
            let kind = if closed == Closed::Dns { Kind::Dns } else { Kind::NetConnect };
            refuse(kind, address, closed)
        }
    }
}

fn refuse(kind: Kind, address: SocketAddr, closed: Closed<'_>) -> IpCall<'_> {
    let reason = Reason::NoGrant;
    IpCall::Refuse(IpRefusal { kind, reason, address, closed: Some(closed) })
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
    use crate::policy::NetworkMode;

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    #[test]
    fn an_address_without_a_family_dissolves_and_sends_nothing() {
        let policy = NetworkPolicy::of_mode(NetworkMode::Loopback);
        assert_eq!(ip_call(&policy, &Address::Unspecified, true), IpCall::AsCopied);
        let fails = IpCall::Fail(Errno::EAFNOSUPPORT);
        assert_eq!(ip_call(&policy, &Address::Unspecified, false), fails);
        assert_eq!(ip_call(&policy, &Address::UnixPath(b"/x".to_vec()), true), fails);
        assert_eq!(ip_call(&policy, &Address::Malformed, true), IpCall::Fail(Errno::EINVAL));
        assert_eq!(ip_bind(&policy, &Address::Unspecified), IpBind::Fail(Errno::EAFNOSUPPORT));
    }

    #[test]
    fn kinds_of_refusals() {
        let proxy = "127.0.0.1:4000".parse().ok();
        let policy = NetworkPolicy { proxy, ..NetworkPolicy::of_mode(NetworkMode::Proxy) };
        let kind = |address: &str, connects| match ip_call(&policy, &inet(address), connects) {
            IpCall::Refuse(refusal) => Some(refusal.kind),
            _ => None,
        };
        assert_eq!(kind("8.8.8.8:53", true), Some(Kind::Dns));
        assert_eq!(kind("8.8.8.8:54", true), Some(Kind::NetConnect));
        assert_eq!(kind("127.0.0.1:9", true), None);
        assert_eq!(ip_call(&policy, &inet("127.0.0.1:4000"), true), IpCall::Proxy);
        assert_eq!(kind("127.0.0.1:4000", false), Some(Kind::NetConnect));
        for address in [None, "127.0.0.1:80".parse().ok(), "[::ffff:127.0.0.1]:80".parse().ok()] {
            assert_eq!(ip_listen(&policy, address), IpBind::OnLoopback, "{address:?}");
        }
    }
}
