//! Which sockets may exist. Family, type and protocol are registers here: no race.

use super::{Answer, FilterError, Rules};
use crate::IpcScope;
use crate::policy::{Mediation, NetworkMode, Policy};
use crate::register::unsigned;
use seccompiler::{
    SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompRule,
};

const UNIX: u64 = libc::AF_UNIX as u64;
const INET: u64 = libc::AF_INET as u64;
const INET6: u64 = libc::AF_INET6 as u64;
const NETLINK: u64 = libc::AF_NETLINK as u64;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const DATAGRAM: u64 = libc::SOCK_DGRAM as u64;
const SEQPACKET: u64 = libc::SOCK_SEQPACKET as u64;
/// The type without `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const TYPE_MASK: u64 = 0xf;

fn domain(op: Op, value: u64) -> Result<Condition, FilterError> {
    Ok(Condition::new(0, Len::Dword, op, value)?)
}

fn kind(value: u64) -> Result<Condition, FilterError> {
    Ok(Condition::new(1, Len::Dword, Op::MaskedEq(TYPE_MASK), value)?)
}

fn protocol(op: Op, value: u64) -> Result<Condition, FilterError> {
    Ok(Condition::new(2, Len::Dword, op, value)?)
}

fn both(rules: Vec<SeccompRule>) -> Rules {
    [(libc::SYS_socket, rules.clone()), (libc::SYS_socketpair, rules)].into_iter().collect()
}

/// Sockets that may not be made, which is worth telling, and those that the supervisor makes.
pub(super) fn told(policy: &Policy) -> Result<Vec<Rules>, FilterError> {
    let unix = &policy.unix;
    let mut told = vec![both(other_families()?), both(other_protocols()?)];
    if unix.mediation == Mediation::Pathname && !unix.datagrams {
        told.push(both(unix_datagrams()?));
    }
    match policy.network.mode {
        NetworkMode::None => told.push(both(internet()?)),
        NetworkMode::Loopback | NetworkMode::Proxy | NetworkMode::Hosts => {
            told.push(both(other_datagrams()?));
        }
        NetworkMode::Open => {}
    }
    if policy.network.ties_datagrams() {
        told.push([(libc::SYS_socket, udp()?)].into_iter().collect());
    }
    if policy.network.mode.is_closed() {
        let devices = DEVICES.iter().map(|(level, name, _)| set(*level, *name));
        told.push(on_sockets(devices.collect::<Result<_, _>>()?));
    }
    Ok(told)
}

/// UDP sockets, which the supervisor makes.
fn udp() -> Result<Vec<SeccompRule>, FilterError> {
    let protocols = [0, u64::from(libc::IPPROTO_UDP.unsigned_abs())];
    let all = [INET, INET6].into_iter().flat_map(|f| protocols.map(|p| (f, p)));
    all.map(|(family, number)| {
        let conditions = vec![domain(Op::Eq, family)?, kind(DATAGRAM)?, protocol(Op::Eq, number)?];
        Ok(SeccompRule::new(conditions)?)
    })
    .collect()
}

fn on_sockets(options: Vec<SeccompRule>) -> Rules {
    [(libc::SYS_setsockopt, options)].into_iter().collect()
}

/// Setting this option.
fn set(level: libc::c_int, name: u64) -> Result<SeccompRule, FilterError> {
    let level = Condition::new(1, Len::Dword, Op::Eq, u64::from(level.unsigned_abs()))?;
    Ok(SeccompRule::new(vec![level, Condition::new(2, Len::Dword, Op::Eq, name)?])?)
}

/// An option that lets a socket share its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// `SO_REUSEADDR`
    Address,
    /// `SO_REUSEPORT`
    Port,
}

impl Sharing {
    const ALL: [Self; 2] = [Self::Address, Self::Port];

    /// As `setsockopt` has it, at `SOL_SOCKET`.
    fn name(self) -> u64 {
        match self {
            Self::Address => libc::SO_REUSEADDR.unsigned_abs().into(),
            Self::Port => libc::SO_REUSEPORT.unsigned_abs().into(),
        }
    }

    /// The one that these arguments of `setsockopt` are about.
    pub(crate) fn of(args: &[u64; 6]) -> Option<Self> {
        let (level, name) = (unsigned(args[1]), u64::from(unsigned(args[2])));
        let asked = |one: &Self| level == libc::SOL_SOCKET.unsigned_abs() && name == one.name();
        Self::ALL.into_iter().find(asked)
    }
}

/// Options that let ports be shared, which the supervisor sets.
pub(super) fn sharing() -> Result<Rules, FilterError> {
    let rules = Sharing::ALL.map(|one| set(libc::SOL_SOCKET, one.name()));
    Ok(on_sockets(rules.into_iter().collect::<Result<_, _>>()?))
}

/// What would lead a judged call elsewhere, refused without a word: nothing but attacks and a few
/// measuring tools asks for it.
pub(super) fn silent(policy: &Policy, ipc: IpcScope) -> Result<Vec<(Rules, Answer)>, FilterError> {
    let judged = if policy.network.mode.is_closed() { FILTERS } else { &[] };
    let rule = |(level, name): &(libc::c_int, u64)| set(*level, *name);
    let options = ROUTES.iter().chain(judged).map(rule).collect::<Result<_, _>>()?;
    let absent = ABSENT.iter().map(rule).collect::<Result<_, _>>()?;
    let (refused, unknown) = (Answer::errno(libc::EPERM), Answer::errno(libc::EOPNOTSUPP));
    let mut silent = vec![
        (on_sockets(options), refused),
        (on_sockets(absent), Answer::errno(libc::ENOPROTOOPT)),
        (fast_open()?, unknown),
    ];
    if policy.sends_are_mediated(ipc) {
        silent.push((on_sockets(vec![rule(&ZERO_COPY)?]), unknown));
    }
    Ok(silent)
}

/// Options that no kernel knew for long, with the errno of one that does not. Whatever the network
/// mode: a list of ports may be there in each, and who asks for these can do without.
///
/// * `IP_LOCAL_PORT_RANGE` (linux/in.h): port 0 is then no choice of the kernel's, so it would be a
///   port that `network.listen` does not list.
/// * `TCP_ULP` (linux/tcp.h): turns a judged TCP socket into something else; libraries for TLS go on
///   without the kernel's.
const ABSENT: &[(libc::c_int, u64)] = &[(libc::IPPROTO_IP, 51), (libc::IPPROTO_TCP, 31)];

/// `SO_ZEROCOPY`: the kernel would go on reading what was sent where it lies, which is the
/// supervisor's memory (networking/msg_zerocopy.rst). The errno is that of sockets that cannot.
const ZERO_COPY: (libc::c_int, u64) = (libc::SOL_SOCKET, 60);

/// Ways of one's own: with a source route the first stop is not the address that is judged
/// (linux/in.h `IP_OPTIONS`; linux/in6.h `IPV6_RTHDR`, `IPV6_2292RTHDR`, `IPV6_2292PKTOPTIONS`, and
/// `IPV6_FLOWLABEL_MGR`, which can carry one).
const ROUTES: &[(libc::c_int, u64)] = &[
    (libc::IPPROTO_IP, 4),
    (libc::IPPROTO_IPV6, 57),
    (libc::IPPROTO_IPV6, 5),
    (libc::IPPROTO_IPV6, 6),
    (libc::IPPROTO_IPV6, 32),
];

/// Filters of one's own, and locks on them: the supervisor puts one on each datagram socket that only
/// the loopback device may reach (asm-generic/socket.h `SO_ATTACH_FILTER`, `SO_DETACH_FILTER`,
/// `SO_LOCK_FILTER`, `SO_ATTACH_BPF`).
const FILTERS: &[(libc::c_int, u64)] = &[
    (libc::SOL_SOCKET, 26),
    (libc::SOL_SOCKET, 27),
    (libc::SOL_SOCKET, 44),
    (libc::SOL_SOCKET, 50),
];

/// Devices of one's own choice, on which even a loopback address leaves the machine, and
/// memberships, which are announced on the link (asm-generic/socket.h `SO_BINDTODEVICE`,
/// `SO_BINDTOIFINDEX`; linux/in.h `IP_UNICAST_IF`, `IP_MULTICAST_IF`, the memberships;
/// linux/in6.h the same, and `IPV6_PKTINFO`, which names the device of all that follows).
const DEVICES: &[(libc::c_int, u64, &str)] = &[
    (libc::SOL_SOCKET, 25, "SO_BINDTODEVICE"),
    (libc::SOL_SOCKET, 62, "SO_BINDTOIFINDEX"),
    (libc::IPPROTO_IP, 50, "IP_UNICAST_IF"),
    (libc::IPPROTO_IP, 32, "IP_MULTICAST_IF"),
    (libc::IPPROTO_IP, 35, "IP_ADD_MEMBERSHIP"),
    (libc::IPPROTO_IP, 39, "IP_ADD_SOURCE_MEMBERSHIP"),
    (libc::IPPROTO_IP, 42, "MCAST_JOIN_GROUP"),
    (libc::IPPROTO_IP, 46, "MCAST_JOIN_SOURCE_GROUP"),
    (libc::IPPROTO_IPV6, 76, "IPV6_UNICAST_IF"),
    (libc::IPPROTO_IPV6, 17, "IPV6_MULTICAST_IF"),
    (libc::IPPROTO_IPV6, 20, "IPV6_ADD_MEMBERSHIP"),
    (libc::IPPROTO_IPV6, 27, "IPV6_JOIN_ANYCAST"),
    (libc::IPPROTO_IPV6, 42, "MCAST_JOIN_GROUP"),
    (libc::IPPROTO_IPV6, 46, "MCAST_JOIN_SOURCE_GROUP"),
    (libc::IPPROTO_IPV6, 50, "IPV6_PKTINFO"),
];

/// The name of a refused option that chooses a device; empty for another one.
pub(super) fn option(args: &[u64; 6]) -> &'static str {
    let (level, name) = (unsigned(args[1]), u64::from(unsigned(args[2])));
    let asked = |known: &&(libc::c_int, u64, _)| (known.0.unsigned_abs(), known.1) == (level, name);
    DEVICES.iter().find(asked).map_or("", |(_, _, name)| *name)
}

/// `MSG_FASTOPEN` makes a send connect. The errno is that of a kernel that has it switched off.
fn fast_open() -> Result<Rules, FilterError> {
    let flag = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
    let rule = |argument| -> Result<Vec<SeccompRule>, FilterError> {
        let set = Condition::new(argument, Len::Dword, Op::MaskedEq(flag), flag)?;
        Ok(vec![SeccompRule::new(vec![set])?])
    };
    Ok([
        (libc::SYS_sendto, rule(3)?),
        (libc::SYS_sendmsg, rule(2)?),
        (libc::SYS_sendmmsg, rule(3)?),
    ]
    .into_iter()
    .collect())
}

/// IP sockets that are neither TCP nor UDP: raw ones, pings, UDP-Lite.
fn other_datagrams() -> Result<Vec<SeccompRule>, FilterError> {
    let udp = u64::from(libc::IPPROTO_UDP.unsigned_abs());
    let mut rules = Vec::new();
    for family in [INET, INET6] {
        rules.push(SeccompRule::new(vec![
            domain(Op::Eq, family)?,
            kind(DATAGRAM)?,
            protocol(Op::Ne, 0)?,
            protocol(Op::Ne, udp)?,
        ])?);
        for other in (0..=TYPE_MASK).filter(|t| ![STREAM, DATAGRAM, SEQPACKET].contains(t)) {
            rules.push(SeccompRule::new(vec![domain(Op::Eq, family)?, kind(other)?])?);
        }
    }
    Ok(rules)
}

/// Everything but UNIX (1), INET (2), INET6 (10) and NETLINK (16).
fn other_families() -> Result<Vec<SeccompRule>, FilterError> {
    let between = |low, high| Ok(vec![domain(Op::Gt, low)?, domain(Op::Lt, high)?]);
    [
        Ok(vec![domain(Op::Lt, UNIX)?]),
        between(INET, INET6),
        between(INET6, NETLINK),
        Ok(vec![domain(Op::Gt, NETLINK)?]),
    ]
    .into_iter()
    .map(|conditions: Result<_, FilterError>| Ok(SeccompRule::new(conditions?)?))
    .collect()
}

/// Streams that are not TCP (MPTCP, SCTP and SMC go around rules made for TCP; Go and others fall
/// back on this errno), and netlink other than routing, which libc and the JVM need.
fn other_protocols() -> Result<Vec<SeccompRule>, FilterError> {
    let tcp = u64::from(libc::IPPROTO_TCP.unsigned_abs());
    let mut rules = Vec::new();
    for family in [INET, INET6] {
        rules.push(SeccompRule::new(vec![
            domain(Op::Eq, family)?,
            kind(STREAM)?,
            protocol(Op::Ne, 0)?,
            protocol(Op::Ne, tcp)?,
        ])?);
        rules.push(SeccompRule::new(vec![domain(Op::Eq, family)?, kind(SEQPACKET)?])?);
    }
    rules.push(SeccompRule::new(vec![domain(Op::Eq, NETLINK)?, protocol(Op::Ne, 0)?])?);
    Ok(rules)
}

/// IP sockets of every type. A command is started with three descriptors, none of them such a
/// socket of its own making, so what cannot be made cannot be used: no connect, bind or send needs
/// to be judged.
fn internet() -> Result<Vec<SeccompRule>, FilterError> {
    [INET, INET6]
        .into_iter()
        .map(|family| Ok(SeccompRule::new(vec![domain(Op::Eq, family)?])?))
        .collect()
}

/// A datagram socket sends to any path without connecting, and a datagram *pair* can be re-pointed
/// at any socket; `SOCK_RAW` is another name for the same thing. So the gate names what may be.
fn unix_datagrams() -> Result<Vec<SeccompRule>, FilterError> {
    (0..=TYPE_MASK)
        .filter(|t| ![STREAM, SEQPACKET].contains(t))
        .map(|t| Ok(SeccompRule::new(vec![domain(Op::Eq, UNIX)?, kind(t)?])?))
        .collect()
}

/// What a refused socket call gets, in the order of the programs above.
pub(super) fn refusal_errno(args: &[u64; 6]) -> i32 {
    match family(args) {
        UNIX => libc::EACCES,
        NETLINK => libc::EPROTONOSUPPORT,
        INET | INET6 if is_other_protocol(args) || is_other_datagram(args) => libc::EPROTONOSUPPORT,
        // Refused for what they are: the policy has no network.
        INET | INET6 => libc::EACCES,
        _ => libc::EAFNOSUPPORT,
    }
}

/// Whether `other_protocols` refuses this IP socket, whatever the policy.
fn is_other_protocol(args: &[u64; 6]) -> bool {
    let (kind, protocol) = (args[1] & TYPE_MASK, u64::from(unsigned(args[2])));
    let tcp = u64::from(libc::IPPROTO_TCP.unsigned_abs());
    kind == SEQPACKET || (kind == STREAM && protocol != 0 && protocol != tcp)
}

/// Whether `other_datagrams` refuses this IP socket.
fn is_other_datagram(args: &[u64; 6]) -> bool {
    let (kind, protocol) = (args[1] & TYPE_MASK, u64::from(unsigned(args[2])));
    let udp = u64::from(libc::IPPROTO_UDP.unsigned_abs());
    match kind {
        STREAM => false,
        DATAGRAM => protocol != 0 && protocol != udp,
        _ => true,
    }
}

/// Whether this is a TCP or UDP socket, which only a policy without a network refuses.
#[must_use]
pub fn is_internet(args: &[u64; 6]) -> bool {
    [INET, INET6].contains(&family(args)) && !is_other_protocol(args) && !is_other_datagram(args)
}

/// Whether this is an AF_UNIX socket, of which only datagrams are refused.
#[must_use]
pub fn is_unix(args: &[u64; 6]) -> bool {
    family(args) == UNIX
}

/// Whether this is a UDP socket.
pub(crate) fn is_udp(args: &[u64; 6]) -> bool {
    is_internet(args) && args[1] & TYPE_MASK == DATAGRAM
}

fn family(args: &[u64; 6]) -> u64 {
    unsigned(args[0]).into()
}

/// A refused socket in words.
pub(super) fn describe(args: &[u64; 6]) -> String {
    let family = match family(args) {
        UNIX => return "AF_UNIX datagram socket".to_owned(),
        INET => "AF_INET",
        INET6 => "AF_INET6",
        NETLINK => "AF_NETLINK",
        number => {
            const OTHERS: &[(libc::c_int, &str)] = &[
                (libc::AF_PACKET, "AF_PACKET"),
                (libc::AF_VSOCK, "AF_VSOCK"),
                (libc::AF_BLUETOOTH, "AF_BLUETOOTH"),
                (libc::AF_ALG, "AF_ALG"),
                (libc::AF_CAN, "AF_CAN"),
                (libc::AF_KEY, "AF_KEY"),
                (libc::AF_TIPC, "AF_TIPC"),
                (44, "AF_XDP"),
                (43, "AF_SMC"),
            ];
            let known = OTHERS.iter().find(|(n, _)| u64::from(n.unsigned_abs()) == number);
            return known.map_or_else(
                || format!("socket of family {number}"),
                |(_, name)| format!("{name} socket"),
            );
        }
    };
    format!("{family} socket, type {}, protocol {}", args[1] & TYPE_MASK, unsigned(args[2]))
}
