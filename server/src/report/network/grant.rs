//! The narrowest entries of a profile's `network` that would allow all of a group, tried before
//! they are shown.

use super::{WEB, address, asked_for, host, mode_is_given, resolved, wire};
use crate::report::group::Group;
use crate::report::view::View;
use nono_sandbox::decide::{
    Address, IpBind, IpConnect, IpSend, ip_bind, ip_connect, ip_listen, ip_send,
};
use nono_sandbox::policy::{
    Closed, Host, HostGrant, HostRule, NameVerdict, NetworkMode, NetworkPolicy, NetworkReach,
    PortRange, Source, is_global, meant,
};
use nono_sandbox::record::{Denial, Kind, Operation};
use nono_schemas::{NetworkGrant, Risk};
use std::net::SocketAddr;

/// A grant that helps, tried on the policy.
pub(in crate::report) struct Tried {
    pub(in crate::report) grant: NetworkGrant,
    pub(in crate::report) risk: Risk,
    pub(in crate::report) risk_why: String,
}

/// The narrowest entries that allow all of a group.
pub(in crate::report) fn narrowest(view: View<'_>, group: &Group<'_>) -> Option<Tried> {
    let mut grant = NetworkGrant::default();
    let mut opened = view.policy.network.clone();
    let mut worst: Option<(Risk, &'static str)> = None;
    for denial in &group.members {
        let (risk, why) = add(&mut grant, &mut opened, denial)?;
        if worst.is_none_or(|(known, _)| risk > known) {
            worst = Some((risk, why));
        }
    }
    let helps = group.members.iter().all(|denial| allows(&opened, denial));
    if opened.mode != view.policy.network.mode {
        // Who gave the mode beside the profile has to give another.
        if mode_is_given(view) {
            return None;
        }
        grant.mode = Some(wire(opened.mode));
    }
    let (risk, why) = worst?;
    // What takes nothing is reached another way.
    let helps = helps && grant != NetworkGrant::default();
    helps.then(|| Tried { grant, risk, risk_why: why.to_owned() })
}

/// Adds what one denial needs to a grant and to the policy it is tried on.
fn add(
    grant: &mut NetworkGrant,
    opened: &mut NetworkPolicy,
    denial: &Denial,
) -> Option<(Risk, &'static str)> {
    match denial.kind {
        Kind::NetBind => {
            let at = address(denial)?;
            add_port(grant, opened, at)
        }
        Kind::NetProxy => {
            let (host, port) = host(denial)?;
            match resolved(denial) {
                Some(at) => add_address(grant, opened, at),
                None => add_host(grant, opened, &host, port),
            }
        }
        // Who looks names up may ask for anything in them, and reaches nothing by that.
        Kind::Dns => add_host(grant, opened, &asked_for(denial)?, WEB[0]),
        _ if denial.operation == Operation::Socket => {
            opened.mode = opened.mode.max(NetworkMode::Loopback);
            Some((Risk::Low, "services of this machine can be reached"))
        }
        _ => {
            let at = meant(address(denial)?);
            if opened.mode < NetworkMode::Hosts && !at.ip().is_loopback() {
                opened.mode = NetworkMode::Hosts;
            }
            opened.mode = opened.mode.max(NetworkMode::Loopback);
            if at.ip().is_loopback() && opened.reach(at) == NetworkReach::Direct {
                return Some((Risk::Low, "services of this machine can be reached"));
            }
            add_address(grant, opened, at)
        }
    }
}

fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

fn allow(grant: &mut NetworkGrant, opened: &mut NetworkPolicy, text: String) -> Option<()> {
    let rule: HostRule = text.parse().ok()?;
    let source = Source { profile: "tried".into(), rule: "tried".into(), line: None };
    push(&mut grant.allow, text);
    opened.allow.push(HostGrant { rule, source });
    Some(())
}

fn add_host(
    grant: &mut NetworkGrant,
    opened: &mut NetworkPolicy,
    host: &Host,
    port: u16,
) -> Option<(Risk, &'static str)> {
    match host {
        Host::Address(ip) => add_address(grant, opened, SocketAddr::new(*ip, port)),
        Host::Name(name) => {
            opened.mode = opened.mode.max(NetworkMode::Proxy);
            let text =
                if WEB.contains(&port) { name.to_string() } else { format!("{name}:{port}") };
            if !matches!(opened.host(host, port), NameVerdict::Allowed(_)) {
                allow(grant, opened, text)?;
            }
            Some((Risk::Medium, "whatever commands can read can be sent there"))
        }
    }
}

fn add_address(
    grant: &mut NetworkGrant,
    opened: &mut NetworkPolicy,
    at: SocketAddr,
) -> Option<(Risk, &'static str)> {
    let at = meant(at);
    let risk = match opened.reach(at) {
        NetworkReach::Closed(Closed::Special(_)) => {
            (Risk::High, "what answers there may give out credentials of this machine")
        }
        NetworkReach::Closed(Closed::Own) => {
            (Risk::High, "commands could talk to the server that confines them")
        }
        NetworkReach::Closed(Closed::Dns) => {
            (Risk::High, "anything can be sent to anybody in the names that are asked for")
        }
        _ if is_global(at.ip()) => (Risk::Medium, "whatever commands can read can be sent there"),
        _ => (Risk::Medium, "a machine of the local network can be reached"),
    };
    allow(grant, opened, at.to_string())?;
    Some(risk)
}

fn add_port(
    grant: &mut NetworkGrant,
    opened: &mut NetworkPolicy,
    at: SocketAddr,
) -> Option<(Risk, &'static str)> {
    let range = PortRange::one(at.port());
    let mut risk = (Risk::Low, "commands can listen there");
    if let Some(ports) = &mut opened.listen
        && !ports.iter().any(|p| p.contains(at.port()))
    {
        if at.port() == 0 {
            return None;
        }
        ports.push(range);
        push(&mut grant.listen, range.to_string());
    }
    let local = at.ip().is_loopback() || at.ip().is_unspecified();
    if !local && opened.mode.is_closed() {
        if at.port() == 0 {
            return None;
        }
        opened.expose.push(range);
        push(&mut grant.expose, range.to_string());
        risk = (Risk::Medium, "other machines can reach what commands listen on there");
    }
    Some(risk)
}

/// Whether a name that a name server was asked for is one the proxy looks up. Of a question that was
/// not seen nobody knows the name.
fn proxy_looks_up(policy: &NetworkPolicy, denial: &Denial) -> bool {
    let allows = |host: &Host, port| matches!(policy.host(host, port), NameVerdict::Allowed(_));
    policy.mode.has_proxy()
        && asked_for(denial).is_none_or(|host| WEB.iter().any(|port| allows(&host, *port)))
}

/// Whether a policy allows what was denied. The same questions the sandbox asks.
pub(in crate::report) fn allows(policy: &NetworkPolicy, denial: &Denial) -> bool {
    if denial.operation == Operation::Socket {
        return policy.mode != NetworkMode::None;
    }
    if denial.kind == Kind::NetProxy {
        let Some((host, port)) = host(denial) else { return false };
        let named = matches!(policy.host(&host, port), NameVerdict::Allowed(_));
        let resolved = denial.resolved.as_deref().and_then(|r| std::str::from_utf8(r).ok());
        let at = match (resolved.and_then(|r| r.parse().ok()), host) {
            (Some(at), _) => Some(at),
            (None, Host::Address(ip)) => Some(SocketAddr::new(ip, port)),
            (None, Host::Name(_)) => None,
        };
        return named && at.is_none_or(|at| policy.resolved(at).is_ok());
    }
    if denial.kind == Kind::Dns && proxy_looks_up(policy, denial) {
        return true;
    }
    let Some(at) = address(denial) else { return false };
    match (denial.kind, denial.operation) {
        (Kind::NetBind, Operation::Listen) => {
            !matches!(ip_listen(policy, Some(at)), IpBind::Refuse(_))
        }
        (Kind::NetBind, _) => !matches!(ip_bind(policy, &Address::Inet(at)), IpBind::Refuse(_)),
        (_, Operation::Send) => {
            let verdict = ip_send(policy, &Address::Inet(at), || true);
            matches!(verdict, IpSend::AsCopied | IpSend::TieFirst)
        }
        _ => ip_connect(policy, &Address::Inet(at)) == IpConnect::AsCopied,
    }
}
