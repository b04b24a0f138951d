//! What a command may do over IP.
//!
//! Every question about an address, a name or a port is answered here: for the mediator, for the
//! proxy, and for whoever explains or proposes a grant.

mod class;
mod host;
mod mode;
#[cfg(test)]
mod tests;

use class::special;
pub use class::{Special, is_global, meant};
pub use host::{BadHost, DomainName, Host, HostPattern, HostRule, PortRange, Ports};
pub use mode::NetworkMode;

use super::{Isolation, Source};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// An entry of `network.allow` or `network.deny`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostGrant {
    /// Which hosts and ports.
    pub rule: HostRule,
    /// Where it was written.
    pub source: Source,
}

/// What a command may do over IP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// How much of it there is.
    pub mode: NetworkMode,
    /// Hosts that are reached by `proxy` and `hosts`, and addresses that no mode reaches unless
    /// they are named.
    pub allow: Vec<HostGrant>,
    /// Hosts that are refused whatever `allow` says.
    pub deny: Vec<HostGrant>,
    /// Ports that may be bound; any if there is no list.
    pub listen: Option<Vec<PortRange>>,
    /// Ports on which other machines may reach what a run listens on.
    pub expose: Vec<PortRange>,
    /// Where the server itself listens. Filled in by the server.
    pub own: Vec<SocketAddr>,
    /// Where the runs' proxy listens. Filled in by the server.
    pub proxy: Option<SocketAddr>,
    /// Whether a run has a network namespace of its own.
    pub isolate: Isolation,
}

/// What happens to a connection or a datagram for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkReach<'p> {
    /// It goes there.
    Direct,
    /// It goes to the run's proxy, which is told whose it is.
    Proxy,
    /// It is refused.
    Closed(Closed<'p>),
}

/// Why an address is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed<'p> {
    /// The mode does not reach it.
    Mode,
    /// A name server. Names are the proxy's to look up; what asks by itself could send anything in
    /// a name.
    Dns,
    /// An address that gives out the machine's credentials, or that only the link knows.
    Special(Special),
    /// The server's own endpoint.
    Own,
    /// An entry of `network.deny`.
    Denied(&'p Source),
}

/// What happens to a `bind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It is done.
    AsAsked,
    /// It is done, on the loopback device alone: other machines do not reach it.
    OnLoopback,
    /// The port is not in `network.listen`.
    PortClosed,
    /// Other machines could reach it, and `network.expose` does not have the port.
    NotExposed,
    /// The port is one of the server's, which whoever names another address of this machine by
    /// mistake (`localhost`, which may be `::1`) is to reach, or nobody.
    OfServer,
}

/// What the policy says to a name and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameVerdict<'p> {
    /// This entry allows it. The addresses are judged once they are known.
    Allowed(&'p HostGrant),
    /// This entry refuses it.
    Denied(&'p HostGrant),
    /// No entry covers it.
    NotListed,
}

/// The port of name servers.
pub const DNS_PORT: u16 = 53;

impl NetworkPolicy {
    /// A policy without any list.
    #[must_use]
    pub fn of_mode(mode: NetworkMode) -> Self {
        Self {
            mode,
            allow: Vec::new(),
            deny: Vec::new(),
            listen: None,
            expose: Vec::new(),
            own: Vec::new(),
            proxy: None,
            isolate: Isolation::Off,
        }
    }

    /// What happens to a connection or a datagram for `address`.
    #[must_use]
    pub fn reach(&self, address: SocketAddr) -> NetworkReach<'_> {
        let at = meant(address);
        if self.mode == NetworkMode::None {
            return NetworkReach::Closed(Closed::Mode);
        }
        if self.proxy == Some(at) {
            return if self.mode.has_proxy() {
                NetworkReach::Proxy
            } else {
                NetworkReach::Closed(Closed::Own)
            };
        }
        if let Some(closed) = self.closed_by_name(at) {
            return NetworkReach::Closed(closed);
        }
        if self.mode == NetworkMode::Open {
            return NetworkReach::Direct;
        }
        let listed = self.allows_address(at);
        if at.port() == DNS_PORT && !(listed && (self.mode == NetworkMode::Hosts || is_here(at))) {
            return NetworkReach::Closed(Closed::Dns);
        }
        if is_here(at) || (self.mode == NetworkMode::Hosts && listed) {
            return NetworkReach::Direct;
        }
        NetworkReach::Closed(Closed::Mode)
    }

    /// What no mode reaches by itself.
    fn closed_by_name(&self, at: SocketAddr) -> Option<Closed<'_>> {
        if let Some(entry) = self.deny.iter().find(|d| d.rule.covers_address(at)) {
            return Some(Closed::Denied(&entry.source));
        }
        if self.own.iter().any(|own| is_at(*own, at)) && !self.names_endpoint(at) {
            return Some(Closed::Own);
        }
        let special = special(at.ip())?;
        (!self.names_special(at)).then_some(Closed::Special(special))
    }

    /// Whether an entry of `allow` covers an address.
    fn allows_address(&self, at: SocketAddr) -> bool {
        self.allow.iter().any(|a| a.rule.covers_address(at))
    }

    /// Whether an entry spells out exactly this address and port.
    fn names_endpoint(&self, at: SocketAddr) -> bool {
        self.allow.iter().any(|a| a.rule.single() == Some(at))
    }

    /// Whether an entry lies within the special range: a wide one such as `0.0.0.0/0` does not mean
    /// these addresses.
    fn names_special(&self, at: SocketAddr) -> bool {
        self.allow.iter().any(|a| a.rule.covers_address(at) && a.rule.is_special())
    }

    /// What happens to a socket that is bound to `address`. Port 0 lets the kernel choose, which
    /// programs do for what they only send with.
    #[must_use]
    pub fn binding(&self, address: SocketAddr) -> Binding {
        let at = canonical(address);
        if at.port() != 0 && !self.may_listen(at.port()) {
            return Binding::PortClosed;
        }
        self.at_address(at)
    }

    /// What happens to a socket that is about to accept connections at `address`.
    #[must_use]
    pub fn listening(&self, address: SocketAddr) -> Binding {
        let at = canonical(address);
        if !self.may_listen(at.port()) { Binding::PortClosed } else { self.at_address(at) }
    }

    fn may_listen(&self, port: u16) -> bool {
        self.listen.as_ref().is_none_or(|ports| ports.iter().any(|p| p.contains(port)))
    }

    /// The same, whatever ports there may be.
    fn at_address(&self, at: SocketAddr) -> Binding {
        match self.mode {
            NetworkMode::None => Binding::NotExposed,
            _ if self.own.iter().any(|own| own.port() == at.port()) => Binding::OfServer,
            NetworkMode::Open => Binding::AsAsked,
            _ if at.ip().is_loopback() => Binding::AsAsked,
            _ if self.expose.iter().any(|p| p.contains(at.port())) => Binding::AsAsked,
            _ if at.ip().is_unspecified() => Binding::OnLoopback,
            _ => Binding::NotExposed,
        }
    }

    /// Whether UDP has nothing to do beyond this machine, so that its sockets are made tied to the
    /// loopback device. The kernel gives a port on all addresses to whoever sends without one, and
    /// what is not tied could be sent to from other machines.
    #[must_use]
    pub fn ties_datagrams(&self) -> bool {
        self.sends_stay_here() && self.expose.is_empty()
    }

    /// Whether a socket is tied before it sends to an address. Where something is exposed, one that
    /// has a port was tied when it got it, if it was to be; one that has none gets it with the send.
    pub(crate) fn ties_sender(&self, has_port: impl FnOnce() -> bool) -> bool {
        self.sends_stay_here() && (self.expose.is_empty() || !has_port())
    }

    /// Whether something is sent, and nothing directly to another machine.
    fn sends_stay_here(&self) -> bool {
        self.mode != NetworkMode::None && self.mode.stays_here()
    }

    /// What the proxy says to a host before it looks anything up.
    #[must_use]
    pub fn host(&self, host: &Host, port: u16) -> NameVerdict<'_> {
        let covers = |entry: &&HostGrant| entry.rule.covers(host, port);
        if let Some(entry) = self.deny.iter().find(covers) {
            return NameVerdict::Denied(entry);
        }
        match self.allow.iter().find(covers) {
            Some(entry) if self.mode.has_proxy() => NameVerdict::Allowed(entry),
            _ => NameVerdict::NotListed,
        }
    }

    /// Whether the proxy may connect to an address that an allowed host turned out to have. Only
    /// public addresses, unless an entry lists others; never this machine's.
    ///
    /// # Errors
    /// Why not.
    pub fn resolved(&self, address: SocketAddr) -> Result<(), Closed<'_>> {
        let at = meant(address);
        if let Some(closed) = self.closed_by_name(at) {
            return Err(closed);
        }
        if self.own.iter().any(|own| is_at(*own, at)) || self.proxy == Some(at) {
            return Err(Closed::Own);
        }
        let public = is_global(at.ip()) || self.allows_address(at);
        if public && !is_here(at) { Ok(()) } else { Err(Closed::Mode) }
    }

    /// What both policies allow; names and places are those of `self`.
    #[must_use]
    pub fn intersection(&self, other: &NetworkPolicy) -> NetworkPolicy {
        let deny = self.deny.iter().chain(other.deny.iter().filter(|d| !self.deny.contains(d)));
        NetworkPolicy {
            mode: self.mode.min(other.mode),
            allow: self.allow_both(other),
            deny: deny.cloned().collect(),
            listen: match (&self.listen, &other.listen) {
                (None, listen) | (listen, None) => listen.clone(),
                (Some(a), Some(b)) => Some(meet_ports(a, b)),
            },
            expose: match (self.mode, other.mode) {
                (NetworkMode::Open, _) => other.expose.clone(),
                (_, NetworkMode::Open) => self.expose.clone(),
                _ => meet_ports(&self.expose, &other.expose),
            },
            own: self.own.clone(),
            proxy: self.proxy,
            isolate: self.isolate.max(other.isolate),
        }
    }

    /// The entries of both. An open network needs none for ordinary addresses, so there the other's
    /// count.
    fn allow_both(&self, other: &NetworkPolicy) -> Vec<HostGrant> {
        let mut both = self.meet(other);
        let closed = match (self.mode, other.mode) {
            (NetworkMode::Open, NetworkMode::Open) => return both,
            (NetworkMode::Open, _) => &other.allow,
            (_, NetworkMode::Open) => &self.allow,
            _ => return both,
        };
        let ordinary = closed.iter().filter(|entry| !self.names(&entry.rule));
        for entry in ordinary {
            if !both.iter().any(|known| known.rule == entry.rule) {
                both.push(entry.clone());
            }
        }
        both
    }

    /// The entries that lie in both lists. What has to be named has to be named by both.
    fn meet(&self, other: &NetworkPolicy) -> Vec<HostGrant> {
        let mut both: Vec<HostGrant> = Vec::new();
        for (one, two) in self.allow.iter().flat_map(|a| other.allow.iter().map(move |b| (a, b))) {
            let Some(rule) = one.rule.meet(&two.rule) else { continue };
            let named = !self.names(&rule) || (self.names(&one.rule) && self.names(&two.rule));
            if named && !both.iter().any(|known| known.rule == rule) {
                both.push(HostGrant { rule, source: one.source.clone() });
            }
        }
        both
    }

    /// Whether a rule opens something that has to be named.
    fn names(&self, rule: &HostRule) -> bool {
        let own = |at| self.own.iter().any(|own| is_at(*own, at));
        rule.is_special() || rule.single().is_some_and(own)
    }
}

fn meet_ports(a: &[PortRange], b: &[PortRange]) -> Vec<PortRange> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    pairs.filter_map(|(a, b)| a.meet(*b)).collect()
}

/// Whether an address is this machine's own by its form.
fn is_here(at: SocketAddr) -> bool {
    at.ip().is_loopback()
}

/// Whether what listens at `own` is reached at `at`.
fn is_at(own: SocketAddr, at: SocketAddr) -> bool {
    let own = canonical(own);
    own.port() == at.port()
        && (own.ip() == at.ip() || (own.ip().is_unspecified() && at.ip().is_loopback()))
}

/// IPv4 in IPv6 as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
