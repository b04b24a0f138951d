//! Calls of IP sockets, performed on the caller's behalf once their addresses are judged.

use super::blocking::Interrupted;
use super::caller::Confirmed;
use super::listener::DatagramCall;
use super::request::{SocketRequest, connect_to};
use super::turn::Turn;
use super::{Refusal, proxy};
use crate::decide::{
    Address, Domain, IpBind, IpConnect, IpRefusal, IpSend, ip_bind, ip_connect, ip_listen, ip_send,
    question,
};
use crate::filter::Sharing;
use crate::policy::{Binding, DNS_PORT, NetworkPolicy, meant};
use crate::rate::Family;
use crate::record::Kind;
use crate::register::int;
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockProtocol, SockType, getsockopt, listen,
    setsockopt, shutdown, socket, sockopt,
};
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The device no other machine is on. It is the first of every network namespace.
const LOOPBACK: &str = "lo";
const LOOPBACK_NUMBER: u32 = 1;

/// `connect`.
pub(super) fn connect(turn: &Turn<'_>, request: &SocketRequest) -> Result<(), Interrupted> {
    let policy = &turn.shared.policy().network;
    let confirmed = turn.caller.still_waits()?;
    // Where the kernel may choose, it goes by the socket's own address: it gets what is judged.
    let address = request.address.spelled_out(&request.bytes);
    match ip_connect(policy, &request.address) {
        IpConnect::AsCopied if dissolves_tied(policy, request) => {
            Ok(dissolve(&request.socket, &address)?)
        }
        IpConnect::AsCopied => connect_to(turn, confirmed, &request.socket, &address),
        IpConnect::Proxy => proxy::connect(turn, confirmed, request, &address),
        IpConnect::Refuse(refusal) => Err(refuse(turn, refusal, None).into()),
        IpConnect::Fail(errno) => Err(errno.into()),
    }
}

/// Whether this takes a connection off a datagram socket that only the loopback device may reach:
/// the socket says so, whatever tied it.
fn dissolves_tied(policy: &NetworkPolicy, request: &SocketRequest) -> bool {
    let socket = &request.socket;
    request.address == Address::Unspecified
        && policy.mode.is_closed()
        && getsockopt(socket, sockopt::SockType) == Ok(SockType::Datagram)
        && is_tied(socket)
}

/// Takes the connection off. With it goes the tie (`__udp_disconnect`), so the socket is tied again;
/// in between its filter keeps others out.
fn dissolve(socket: &OwnedFd, address: &[u8]) -> Result<(), Errno> {
    let dissolved = sys::connect(socket.as_fd(), address);
    // Whatever became of the call.
    tie(socket)?;
    dissolved
}

/// Gets the socket ready to send to the request's address, if it may. The data decides nothing; if a
/// name server would have been asked, the record says for what.
pub(super) fn prepare_send(
    turn: &Turn<'_>,
    request: &SocketRequest,
    data: &[u8],
) -> Result<Confirmed, Errno> {
    let confirmed = turn.caller.still_waits()?;
    // Of one that cannot be asked nothing is known, so it is tied.
    let has_port = || bound(&request.socket).is_ok_and(|address| address.is_some());
    match ip_send(&turn.shared.policy().network, &request.address, has_port) {
        IpSend::AsCopied => Ok(confirmed),
        IpSend::TieFirst => tie(&request.socket).map(|()| confirmed),
        IpSend::Refuse(refusal) => {
            let host = (refusal.address.port() == DNS_PORT).then(|| question(data)).flatten();
            Err(refuse(turn, refusal, host))
        }
        IpSend::Fail(errno) => Err(errno),
    }
}

/// Makes a UDP socket that is tied to the loopback device from the start, and answers with it.
pub(super) fn make_datagram_socket(call: DatagramCall<'_>) {
    let [family, kind, ..] = call.args().map(int);
    let family = match family {
        libc::AF_INET => AddressFamily::Inet,
        _ => AddressFamily::Inet6,
    };
    let flags = SockFlag::from_bits_truncate(kind);
    let made =
        socket(family, SockType::Datagram, flags | SockFlag::SOCK_CLOEXEC, SockProtocol::Udp)
            .and_then(|socket| tie(&socket).map(|()| socket));
    call.answer(made, flags.contains(SockFlag::SOCK_CLOEXEC));
}

/// `bind`.
pub(super) fn bind(turn: &Turn<'_>, request: &SocketRequest) -> Result<(), Errno> {
    turn.caller.still_waits()?;
    let verdict = ip_bind(&turn.shared.policy().network, &request.address);
    prepare(turn, &request.socket, verdict)?;
    match &request.address {
        Address::Inet(at) => turn.shared.ports.bind(&request.socket, *at, &request.bytes),
        _ => sys::bind(request.socket.as_fd(), &request.bytes),
    }
}

/// `setsockopt` of an option that lets a port be shared.
pub(super) fn share(
    turn: &Turn<'_>,
    [fd, _level, _name, value, length, _]: [u64; 6],
    what: Sharing,
) -> Result<(), Interrupted> {
    const INT: usize = size_of::<i32>();
    let taken = || {
        let (socket, domain) = turn.hold(fd)?;
        let long_enough = usize::try_from(int(length)).is_ok_and(|length| length >= INT);
        let value = if long_enough { turn.caller.read(value, INT)? } else { Vec::new() };
        let value = <[u8; INT]>::try_from(value.as_slice()).map_err(|_| Errno::EINVAL)?;
        turn.caller.still_waits()?;
        Ok((socket, domain, i32::from_ne_bytes(value) != 0))
    };
    let (socket, domain, on) =
        taken().inspect_err(|errno| turn.unreadable(*errno, Kind::NetBind))?;
    turn.pay_for(family(domain))?;
    Ok(turn.shared.ports.set(&socket, domain, what, on)?)
}

/// What a call about a socket and no address is paid for as.
fn family(domain: Domain) -> Family {
    match domain {
        Domain::Unix => Family::Unix,
        Domain::Inet => Family::Inet,
        Domain::Netlink => Family::Other,
    }
}

/// Performs `listen`.
pub(super) fn perform_listen(
    turn: &Turn<'_>,
    [fd, backlog, ..]: [u64; 6],
) -> Result<(), Interrupted> {
    let (socket, domain) = turn
        .hold(fd)
        .and_then(|held| turn.caller.still_waits().map(|_| held))
        .inspect_err(|errno| turn.unreadable(*errno, Kind::UnixSocket))?;
    turn.pay_for(family(domain))?;
    Ok(listen_at(turn, (&socket, domain), backlog_of(backlog))?)
}

fn listen_at(
    turn: &Turn<'_>,
    (socket, domain): (&OwnedFd, Domain),
    backlog: Backlog,
) -> Result<(), Errno> {
    if domain != Domain::Inet {
        return listen(socket, backlog);
    }
    let policy = &turn.shared.policy().network;
    let judged = bound(socket)?;
    prepare(turn, socket, ip_listen(policy, judged))?;
    listen(socket, backlog)?;
    // A socket without an address gets a port of the kernel's choice, and so does one whose address a
    // thread dissolves in between: what is not tied accepts nothing there, nor where the server is.
    let now = bound(socket)?;
    let untied = policy.mode.is_closed() && judged.is_some() && now != judged;
    if untied || now.is_some_and(|at| policy.listening(at) == Binding::OfServer) {
        let _closed = shutdown(socket.as_raw_fd(), Shutdown::Both);
        return Err(Errno::EADDRNOTAVAIL);
    }
    Ok(())
}

/// The kernel takes what is negative or too large for its most.
fn backlog_of(register: u64) -> Backlog {
    Backlog::new(int(register)).unwrap_or(Backlog::MAXALLOWABLE)
}

/// The address a socket has; `None` before it has a port.
fn bound(socket: &OwnedFd) -> Result<Option<SocketAddr>, Errno> {
    let copy = socket.try_clone().map_err(|_| Errno::EMFILE)?;
    let address = TcpListener::from(copy).local_addr().map_err(|_| Errno::EOPNOTSUPP)?;
    Ok(Some(address).filter(|address| address.port() != 0))
}

/// Takes off a datagram socket the port that the kernel gave it, and keeps it tied if it is.
pub(super) fn take_port_off(socket: &OwnedFd) -> Result<(), Errno> {
    /// No family: what dissolves a connection, and with it what the kernel chose.
    const NONE: [u8; 16] = [0; 16];
    if is_tied(socket) { dissolve(socket, &NONE) } else { sys::connect(socket.as_fd(), &NONE) }
}

fn is_tied(socket: &OwnedFd) -> bool {
    getsockopt(socket, sockopt::BindToDevice).is_ok_and(|device| device == LOOPBACK)
}

/// Carries out what comes before a `bind` or `listen`.
fn prepare(turn: &Turn<'_>, socket: &OwnedFd, verdict: IpBind<'_>) -> Result<(), Errno> {
    match verdict {
        IpBind::AsAsked => Ok(()),
        IpBind::OnLoopback => tie(socket),
        IpBind::Refuse(refusal) => Err(refuse(turn, refusal, None)),
        IpBind::Fail(errno) => Err(errno),
    }
}

/// Ties a socket to the loopback device. The program cannot untie it: that takes a capability, and
/// the filter refuses the option.
fn tie(socket: &OwnedFd) -> Result<(), Errno> {
    match setsockopt(socket, sockopt::BindToDevice, &LOOPBACK.into()) {
        Ok(()) => keep_others_out(socket),
        // It has been tied before; to nothing else, as nobody but us can.
        Err(Errno::EPERM) => {
            let device = getsockopt(socket, sockopt::BindToDevice)?;
            if device == OsStr::new(LOOPBACK) { Ok(()) } else { Err(Errno::EACCES) }
        }
        Err(errno) => Err(errno),
    }
}

/// A datagram socket that is tied takes nothing from elsewhere in the moment in which it is not, when
/// its connection is dissolved: by a filter that nobody can take off.
fn keep_others_out(socket: &OwnedFd) -> Result<(), Errno> {
    if getsockopt(socket, sockopt::SockType) != Ok(SockType::Datagram) {
        return Ok(());
    }
    match sys::take_only_from(socket.as_fd(), LOOPBACK_NUMBER) {
        // It has this one since it was tied first: programs can lock none.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Records a refusal; the errno a program gets.
fn refuse(turn: &Turn<'_>, refusal: IpRefusal<'_>, host: Option<String>) -> Errno {
    let IpRefusal { kind, reason, address, closed } = refusal;
    let real = meant(address);
    let rule = match closed {
        Some(crate::policy::Closed::Denied(source)) => Some(source),
        _ => None,
    };
    turn.record(Refusal {
        resolved: (real != address).then(|| real.to_string().into_bytes()),
        host: host.map(String::into_bytes),
        ..turn.refusal(kind, address.to_string().into_bytes(), (reason, rule))
    });
    Errno::EACCES
}
