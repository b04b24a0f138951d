//! Calls of IP sockets, performed on the caller's behalf once their addresses are judged.

use super::blocking::{Interrupted, conclude};
use super::caller::{Caller, Confirmed};
use super::leader::Turn;
use super::listener::{DatagramCall, MediatedCall};
use super::request::{SocketRequest, connect_to, hold, unreadable};
use super::{Refusal, Shared, proxy};
use crate::decide::{
    Address, Domain, IpBind, IpConnect, IpRefusal, IpSend, ip_bind, ip_connect, ip_listen, ip_send,
    question,
};
use crate::policy::{DNS_PORT, meant};
use crate::rate::Family;
use crate::record::{Kind, Operation};
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
pub(super) fn connect(
    turn: &mut Turn<'_>,
    caller: &Caller<'_>,
    request: &SocketRequest,
    syscall: &'static str,
) -> Result<(), Interrupted> {
    let shared = std::sync::Arc::clone(turn.shared);
    let confirmed = caller.still_waits().map_err(|_| Interrupted::CallerGone)?;
    // Where the kernel may choose, it goes by the socket's own address: it gets what is judged.
    let address = request.address.spelled_out(&request.bytes);
    match ip_connect(&shared.policy().network, &request.address) {
        IpConnect::AsCopied if dissolves_tied(&shared, request) => {
            dissolve(&request.socket, &address).map_err(Interrupted::Failed)
        }
        IpConnect::AsCopied => connect_to(turn, caller, confirmed, &request.socket, &address),
        IpConnect::Proxy => proxy::connect(turn, caller, confirmed, request, &address),
        IpConnect::Refuse(refusal) => {
            let call = (Operation::Connect, syscall);
            Err(Interrupted::Failed(refuse(&shared, caller, refusal, None, call)))
        }
        IpConnect::Fail(errno) => Err(Interrupted::Failed(errno)),
    }
}

/// Whether this takes a connection off a datagram socket that only the loopback device may reach:
/// the socket says so, whatever tied it.
fn dissolves_tied(shared: &Shared, request: &SocketRequest) -> bool {
    let socket = &request.socket;
    request.address == Address::Unspecified
        && shared.policy().network.mode.is_closed()
        && getsockopt(socket, sockopt::SockType) == Ok(SockType::Datagram)
        && getsockopt(socket, sockopt::BindToDevice).is_ok_and(|device| device == LOOPBACK)
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
    shared: &Shared,
    caller: &Caller<'_>,
    request: &SocketRequest,
    data: &[u8],
    syscall: &'static str,
) -> Result<Confirmed, Errno> {
    let confirmed = caller.still_waits()?;
    // Of one that cannot be asked nothing is known, so it is tied.
    let has_port = || bound(&request.socket).is_ok_and(|address| address.is_some());
    match ip_send(&shared.policy().network, &request.address, has_port) {
        IpSend::AsCopied => Ok(confirmed),
        IpSend::TieFirst => tie(&request.socket).map(|()| confirmed),
        IpSend::Refuse(refusal) => {
            let host = (refusal.address.port() == DNS_PORT).then(|| question(data)).flatten();
            let call = (Operation::Send, syscall);
            Err(refuse(shared, caller, refusal, host, call))
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
pub(super) fn bind(
    shared: &Shared,
    caller: &Caller<'_>,
    request: &SocketRequest,
    syscall: &'static str,
) -> Result<(), Errno> {
    caller.still_waits()?;
    let verdict = ip_bind(&shared.policy().network, &request.address);
    prepare(shared, caller, &request.socket, verdict, (Operation::Bind, syscall))?;
    sys::bind(request.socket.as_fd(), &request.bytes)
}

/// Performs `listen` and answers it.
pub(super) fn perform_listen(turn: &mut Turn<'_>, call: MediatedCall<'_>) {
    let shared = std::sync::Arc::clone(turn.shared);
    let data = call.data();
    let Some(caller) = Caller::new(shared.listener(), &data) else { return drop(call) };
    let [fd, backlog, ..] = data.args;
    let what = (Operation::Listen, call.name);
    let held = hold(&shared, &caller, fd, what)
        .and_then(|held| caller.still_waits().map(|_| held))
        .inspect_err(|e| {
            unreadable(&shared, &caller, (*e, Kind::UnixSocket), Operation::Listen, call.name)
        });
    let result = held.map_err(Interrupted::Failed).and_then(|(socket, domain)| {
        let family = match domain {
            Domain::Unix => Family::Unix,
            Domain::Inet => Family::Inet,
            Domain::Netlink => Family::Other,
        };
        turn.pay_for(&caller, family)?;
        listen_at(&shared, &caller, (&socket, domain), backlog_of(backlog), what)
            .map_err(Interrupted::Failed)
    });
    conclude(call, result);
}

fn listen_at(
    shared: &Shared,
    caller: &Caller<'_>,
    (socket, domain): (&OwnedFd, Domain),
    backlog: Backlog,
    call: (Operation, &'static str),
) -> Result<(), Errno> {
    if domain != Domain::Inet {
        return listen(socket, backlog);
    }
    let policy = &shared.policy().network;
    let judged = bound(socket)?;
    prepare(shared, caller, socket, ip_listen(policy, judged), call)?;
    listen(socket, backlog)?;
    // A thread that dissolves the address in between gets a port of the kernel's choice: what is not
    // tied accepts nothing there.
    if policy.mode.is_closed() && judged.is_some() && bound(socket)? != judged {
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

/// Carries out what comes before a `bind` or `listen`.
fn prepare(
    shared: &Shared,
    caller: &Caller<'_>,
    socket: &OwnedFd,
    verdict: IpBind<'_>,
    call: (Operation, &'static str),
) -> Result<(), Errno> {
    match verdict {
        IpBind::AsAsked => Ok(()),
        IpBind::OnLoopback => tie(socket),
        IpBind::Refuse(refusal) => Err(refuse(shared, caller, refusal, None, call)),
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
fn refuse(
    shared: &Shared,
    caller: &Caller<'_>,
    refusal: IpRefusal<'_>,
    host: Option<String>,
    (operation, syscall): (Operation, &'static str),
) -> Errno {
    let IpRefusal { kind, reason, address, closed } = refusal;
    let real = meant(address);
    let rule = match closed {
        Some(crate::policy::Closed::Denied(source)) => Some(source),
        _ => None,
    };
    let refusal = Refusal {
        resolved: (real != address).then(|| real.to_string().into_bytes()),
        host: host.map(String::into_bytes),
        ..Refusal::mediated(
            (kind, operation),
            address.to_string().into_bytes(),
            syscall,
            (reason, rule),
        )
    };
    shared.record(caller, refusal);
    Errno::EACCES
}
