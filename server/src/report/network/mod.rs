//! Denials of addresses, names and ports: the rule behind each, and what would be said to a host.

mod grant;

pub(super) use grant::{Tried, allows, narrowest};

use super::view::View;
use crate::proxy::MOST_OF_A_RUN;
use nono_sandbox::policy::{
    Binding, Closed, Host, NameVerdict, NetworkMode, NetworkPolicy, NetworkReach, Origin,
    PortRange, Source, Special, meant,
};
use nono_sandbox::record::{Denial, Kind, Operation};
use nono_schemas::Network;
use std::net::{IpAddr, SocketAddr};

/// The field that has the mode.
pub(super) const MODE: &str = "network.mode";

/// The mode as results have it.
pub(super) fn wire(mode: NetworkMode) -> Network {
    match mode {
        NetworkMode::None => Network::None,
        NetworkMode::Loopback => Network::Loopback,
        NetworkMode::Proxy => Network::Proxy,
        NetworkMode::Hosts => Network::Hosts,
        NetworkMode::Open => Network::Open,
    }
}

/// Whether a denial is about the network.
pub(super) fn is_about(denial: &Denial) -> bool {
    matches!(denial.kind, Kind::NetConnect | Kind::NetBind | Kind::Dns | Kind::NetProxy)
}

/// The address a denial is about.
fn address(denial: &Denial) -> Option<SocketAddr> {
    std::str::from_utf8(&denial.target).ok()?.parse().ok()
}

/// The host and port a denial of the proxy is about.
fn host(denial: &Denial) -> Option<(Host, u16)> {
    let (host, port) = std::str::from_utf8(&denial.target).ok()?.rsplit_once(':')?;
    Some((Host::parse(host).ok()?, port.parse().ok()?))
}

/// The address that the proxy found for a host, if it came that far.
fn resolved(denial: &Denial) -> Option<SocketAddr> {
    std::str::from_utf8(denial.resolved.as_deref()?).ok()?.parse().ok()
}

/// Whether the mode is why, and a wider one would have to be there before any entry helps.
pub(super) fn is_because_of_mode(policy: &NetworkPolicy, denial: &Denial) -> bool {
    let mode = policy.mode;
    if denial.operation == Operation::Socket {
        return is_about(denial) && mode == NetworkMode::None;
    }
    match denial.kind {
        Kind::NetProxy => {
            let denied = |(host, port)| matches!(policy.host(&host, port), NameVerdict::Denied(_));
            !mode.has_proxy() && !host(denial).is_some_and(denied)
        }
        Kind::NetConnect | Kind::Dns => match address(denial).map(|at| (at, policy.reach(at))) {
            Some((_, NetworkReach::Closed(Closed::Mode))) => mode != NetworkMode::Hosts,
            Some((at, NetworkReach::Closed(Closed::Dns))) => {
                !mode.has_proxy() && !meant(at).ip().is_loopback()
            }
            _ => false,
        },
        Kind::Fs
        | Kind::UnixSocket
        | Kind::Exec
        | Kind::Signal
        | Kind::NetBind
        | Kind::Socket
        | Kind::Syscall
        | Kind::NestedSandbox => false,
    }
}

/// The ports of a name that is asked for without one.
const WEB: [u16; 2] = [443, 80];

/// The rule behind a denial, in words.
pub(super) fn rule(policy: &NetworkPolicy, denial: &Denial) -> String {
    let mode = policy.mode;
    match denial.kind {
        Kind::NetBind => bind_rule(policy, denial),
        Kind::NetProxy => proxy_rule(policy, denial),
        _ if denial.operation == Operation::Socket => {
            "network.mode is none: sockets for IP cannot be made".to_owned()
        }
        _ => match address(denial).map(|at| policy.reach(at)) {
            Some(NetworkReach::Closed(Closed::Dns)) if is_because_of_mode(policy, denial) => {
                format!("network.mode is {mode}: nobody looks names up")
            }
            Some(NetworkReach::Closed(closed)) => closed_rule(closed, mode),
            _ => format!("network.mode is {mode}"),
        },
    }
}

/// Why a run gets no further connection through its proxy, in words.
pub(super) fn no_place() -> String {
    format!(
        "a run may hold as many connections through the proxy as the principal's runs leave free, \
         and {MOST_OF_A_RUN} at most; no profile can change this"
    )
}

/// Why an address is closed, in words.
pub(super) fn closed_rule(closed: Closed<'_>, mode: NetworkMode) -> String {
    match closed {
        Closed::Mode if mode == NetworkMode::Hosts => {
            "network.mode is hosts, and network.allow does not have this address".to_owned()
        }
        Closed::Mode if mode == NetworkMode::Proxy => {
            "network.mode is proxy: other machines are reached through the run's proxy only"
                .to_owned()
        }
        Closed::Mode => format!("network.mode is {mode}"),
        Closed::Dns if !mode.has_proxy() => {
            "name servers are asked only where network.allow has their address".to_owned()
        }
        Closed::Dns => {
            "name servers are not asked by commands: the run's proxy looks names up".to_owned()
        }
        Closed::Special(Special::LinkLocal) => {
            "link-local addresses, where clouds keep credentials, are reached only if named"
                .to_owned()
        }
        Closed::Special(Special::Metadata) => {
            "metadata services, which give out credentials, are reached only if named".to_owned()
        }
        Closed::Own => "the server's own endpoint".to_owned(),
        Closed::Denied(source) => source.rule.clone(),
    }
}

fn bind_rule(policy: &NetworkPolicy, denial: &Denial) -> String {
    match binding(policy, denial) {
        Some(Binding::PortClosed) => "network.listen does not have the port",
        Some(Binding::OfServer) => "the port is the server's own, at every address",
        Some(Binding::AsAsked | Binding::OnLoopback | Binding::NotExposed) | None => {
            "other machines could reach it, and network.expose does not have the port"
        }
    }
    .to_owned()
}

/// What the policy says to the address that a refused `bind` or `listen` was about.
fn binding(policy: &NetworkPolicy, denial: &Denial) -> Option<Binding> {
    let at = address(denial)?;
    let listens = denial.operation == Operation::Listen;
    Some(if listens { policy.listening(at) } else { policy.binding(at) })
}

fn proxy_rule(policy: &NetworkPolicy, denial: &Denial) -> String {
    let verdict = host(denial);
    match verdict.as_ref().map(|(host, port)| policy.host(host, *port)) {
        Some(NameVerdict::Denied(entry)) => format!("{}: {}", entry.source.rule, entry.rule),
        Some(NameVerdict::Allowed(_)) => match resolved(denial) {
            Some(at) => match policy.resolved(at) {
                Err(Closed::Mode) if meant(at).ip().is_loopback() => {
                    "the name leads to this machine, which is not reached through the proxy".into()
                }
                Err(Closed::Mode) => "the name leads to an address that is not public, and \
                                      network.allow does not have the address"
                    .to_owned(),
                Err(closed) => closed_rule(closed, policy.mode),
                Ok(()) => "refused by the run's proxy".to_owned(),
            },
            None => "refused by the run's proxy".to_owned(),
        },
        Some(NameVerdict::NotListed) if !policy.mode.has_proxy() => {
            format!("network.mode is {}: no other machine is reached", policy.mode)
        }
        Some(NameVerdict::NotListed) => "network.allow does not have this host and port".to_owned(),
        None => "not a host and port".to_owned(),
    }
}

/// What needs no grant.
pub(super) fn instead(view: View<'_>, denial: &Denial) -> Option<String> {
    let policy = &view.policy.network;
    let far = |at: SocketAddr| !meant(at).ip().is_loopback();
    let own = |ip: IpAddr| {
        let ip = meant(SocketAddr::new(ip, 0)).ip();
        !ip.is_loopback() && (view.is_own_address)(ip)
    };
    match denial.kind {
        Kind::NetBind => Some(listen_elsewhere(policy, denial)),
        Kind::NetConnect if address(denial).is_some_and(|at| own(at.ip())) => Some(
            "this is an address of this machine: use 127.0.0.1 for servers here; this one is \
             reached if the operator lists it in network.allow"
                .to_owned(),
        ),
        _ if is_because_of_mode(policy, denial) && mode_is_given(view) => Some(format!(
            "the operator chose the mode beside the profile, with {}",
            rule_of_mode(view)
        )),
        // What the proxy refuses as well is not its to be asked for.
        Kind::NetConnect
            if policy.mode.has_proxy()
                && address(denial).is_some_and(|at| far(at) && is_closed_by_mode(policy, at)) =>
        {
            Some("ask for the host by name through the proxy that HTTPS_PROXY names".to_owned())
        }
        Kind::NetProxy if may_be_here(denial, own) => Some(
            "for a server on this machine, use 127.0.0.1 or localhost, which go past the proxy"
                .to_owned(),
        ),
        Kind::Dns if policy.mode.has_proxy() => Some(leave_to_the_proxy(policy, denial)),
        _ => None,
    }
}

/// Whether an address is closed for no reason of its own.
fn is_closed_by_mode(policy: &NetworkPolicy, at: SocketAddr) -> bool {
    policy.reach(at) == NetworkReach::Closed(Closed::Mode)
}

/// Whether the operator gave the mode when the server was started, so that no profile changes it.
fn mode_is_given(view: View<'_>) -> bool {
    matches!(view.policy.origins.of(MODE), Origin::Written(by) if by.is_of_command_line())
}

/// How the mode is written.
fn rule_of_mode(view: View<'_>) -> &str {
    match view.policy.origins.of(MODE) {
        Origin::Written(source) => &source.rule,
        Origin::Call | Origin::Default => MODE,
    }
}

/// The name a name server was asked for.
fn asked_for(denial: &Denial) -> Option<Host> {
    let name = std::str::from_utf8(denial.host.as_deref()?).ok()?;
    Host::parse(name).ok().filter(|host| matches!(host, Host::Name(_)))
}

/// Where a server can listen instead.
fn listen_elsewhere(policy: &NetworkPolicy, denial: &Denial) -> String {
    if binding(policy, denial) == Some(Binding::OfServer) {
        return "listen on another port".to_owned();
    }
    let port = address(denial).map(|at| at.port());
    let lacks = |ports: &&Vec<PortRange>| {
        port.is_some_and(|port| !ports.iter().any(|range| range.contains(port)))
    };
    match policy.listen.as_ref().filter(lacks) {
        Some(ports) if ports.is_empty() => "listen nowhere: network.listen has no port".to_owned(),
        Some(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("listen on a port of network.listen ({})", ports.join(", "))
        }
        None => "listen on 127.0.0.1; other machines reach it if the operator lists the port in \
                 network.expose"
            .to_owned(),
    }
}

/// Whether the proxy was asked for this machine, or for a name that only machines nearby have.
fn may_be_here(denial: &Denial, own: impl Fn(IpAddr) -> bool) -> bool {
    let here = |ip: IpAddr| meant(SocketAddr::new(ip, 0)).ip().is_loopback() || own(ip);
    resolved(denial).is_some_and(|at| here(at.ip()))
        || match host(denial) {
            Some((Host::Address(ip), _)) => here(ip),
            Some((Host::Name(name), _)) => !name.as_str().contains('.'),
            None => false,
        }
}

/// Who looks names up instead, and whether this one would be.
fn leave_to_the_proxy(policy: &NetworkPolicy, denial: &Denial) -> String {
    let proxy = "the proxy that HTTP_PROXY and HTTPS_PROXY name (SOCKS: socks5h)";
    let Some(host @ Host::Name(name)) = &asked_for(denial) else {
        return format!("leave names to {proxy}");
    };
    let verdict = |port| policy.host(host, port);
    if WEB.into_iter().any(|port| matches!(verdict(port), NameVerdict::Allowed(_))) {
        format!("leave {name} to {proxy}, which reaches it")
    } else if WEB.into_iter().any(|port| matches!(verdict(port), NameVerdict::Denied(_))) {
        format!("names are left to {proxy}, which may not reach {name} either")
    } else {
        format!("leave names to {proxy}, which has no entry for {name} yet")
    }
}

/// What the sandbox says to a host that somebody asks about.
pub(super) enum HostAnswer<'p> {
    /// It is reached.
    Allowed {
        /// How, in words.
        how: String,
        /// The entry that says so, if one does.
        source: Option<&'p Source>,
    },
    /// It is refused; the denial that would be recorded.
    Refused(Kind, String),
}

/// Answers for a name or an address.
pub(super) fn on_host<'p>(policy: &'p NetworkPolicy, host: &Host, port: u16) -> HostAnswer<'p> {
    let local = matches!(host, Host::Name(name) if name.as_str() == "localhost");
    let ip = match host {
        Host::Address(ip) => Some(*ip),
        Host::Name(_) if local => Some(IpAddr::from([127, 0, 0, 1])),
        Host::Name(_) => None,
    };
    let reach = ip.map(|ip| policy.reach(SocketAddr::new(ip, port)));
    if reach == Some(NetworkReach::Direct) || reach == Some(NetworkReach::Proxy) {
        let how = "directly".to_owned();
        return HostAnswer::Allowed { how, source: None };
    }
    if policy.mode == NetworkMode::Open && ip.is_none() {
        let how = "the profile leaves TCP and UDP open, but for metadata services, link-local \
                   addresses and the server's own endpoints"
            .to_owned();
        return HostAnswer::Allowed { how, source: None };
    }
    if policy.mode.has_proxy() && !local {
        let target = format!("{host}:{port}");
        return match policy.host(host, port) {
            NameVerdict::Allowed(entry)
                if ip.is_none_or(|ip| policy.resolved(SocketAddr::new(ip, port)).is_ok()) =>
            {
                let how = "through the run's proxy, if its addresses are public or listed".into();
                HostAnswer::Allowed { how, source: Some(&entry.source) }
            }
            _ if ip.is_none() => HostAnswer::Refused(Kind::NetProxy, target),
            _ => HostAnswer::Refused(Kind::NetConnect, target),
        };
    }
    match ip {
        Some(ip) => HostAnswer::Refused(Kind::NetConnect, SocketAddr::new(ip, port).to_string()),
        None => HostAnswer::Refused(Kind::NetProxy, format!("{host}:{port}")),
    }
}
