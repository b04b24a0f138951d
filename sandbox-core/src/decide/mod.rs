//! Verdicts: call and policy in, verdict out. Pure.
//!
//! The line that decides a `connect` is in [`unix_path`]; [`socket_call`] says which calls get
//! there. Addresses of IP sockets are decided in `network`, by the policy's own answers.
//! `supervisor::mediate` does what the verdict says.

mod address;
mod attempt;
mod attribute;
mod by_number;
mod file_kind;
mod message;
mod network;
mod own_names;
mod question;
mod relocate;
mod signal;

pub use address::Address;
pub use attempt::{Attempt, Fit, Target, node_attempt, open_attempt};
pub use attribute::{AttributeChange, AttributeTarget, TimesLayout, attribute, times};
pub use by_number::{
    ByNumber, Numbers, OwnNumbers, Subject, by_number, describe_by_number, subject,
};
pub use file_kind::FileKind;
pub use message::{Control, Header, controls, pieces};
pub use network::{IpBind, IpConnect, IpRefusal, IpSend, ip_bind, ip_connect, ip_listen, ip_send};
pub use own_names::OwnNames;
pub use question::question;
pub use relocate::{Obstacle, Relocation, relocation};
pub use signal::{Receivers, Signalling, signalling};

use crate::AbsPath;
use crate::IpcScope;
use crate::policy::{Mediation, Policy, Source, UnixGrant, UnixPolicy};
use crate::rate::Family;
use crate::record::{Operation, Reason};

/// The domain of a socket, asked of the descriptor itself (`SO_DOMAIN`), never of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// AF_UNIX
    Unix,
    /// AF_INET or AF_INET6
    Inet,
    /// AF_NETLINK
    Netlink,
}

impl Domain {
    /// What a socket of this family is; `None` for families that are not judged. The creation gates
    /// let none of those through, but one can be received from outside, or a socket be turned into
    /// one.
    #[must_use]
    pub fn of(family: i32) -> Option<Self> {
        match family {
            libc::AF_UNIX => Some(Self::Unix),
            libc::AF_INET | libc::AF_INET6 => Some(Self::Inet),
            libc::AF_NETLINK => Some(Self::Netlink),
            _ => None,
        }
    }
}

/// What to do with a mediated `connect` or `bind`, as far as the socket and the copied address
/// tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketCall<'a> {
    /// Perform it with the copied address. Nothing in there names a file, or the kernel judges it
    /// itself (abstract sockets: Landlock's scope, which binds the supervisor too).
    AsCopied,
    /// The address names a file: resolve it, judge the result with [`unix_path`].
    Path(&'a [u8]),
    /// The address is an abstract name, and the kernel would let it lead anywhere: it means the
    /// run's own socket of that name ([`OwnNames`]).
    OwnName(&'a [u8]),
}

/// First half of the verdict.
#[must_use]
pub fn socket_call<'a>(domain: Domain, address: &'a Address, ipc: IpcScope) -> SocketCall<'a> {
    match (domain, address) {
        (Domain::Unix, Address::UnixPath(path)) => SocketCall::Path(path),
        (Domain::Unix, Address::UnixAbstract(name)) if ipc == IpcScope::Mediated => {
            SocketCall::OwnName(name)
        }
        // A family that does not fit the socket gets the kernel's own error, on the copied bytes.
        (Domain::Unix | Domain::Inet | Domain::Netlink, _) => SocketCall::AsCopied,
    }
}

/// What a judged UNIX path may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathVerdict<'p> {
    /// Paths are not judged (`linux.af_unix_mediation` is off).
    NotMediated,
    /// This grant covers it.
    Granted(&'p UnixGrant),
    /// No grant covers it. `Some`: a grant covers it, without the right to bind, or this closes it.
    Denied(Reason, Option<&'p Source>),
}

/// Second half of the verdict: the resolved path against the grants. **This is the line that
/// decides a connect.**
#[must_use]
pub fn unix_path<'p>(
    policy: &'p Policy,
    operation: Operation,
    resolved: &AbsPath,
) -> PathVerdict<'p> {
    let unix: &UnixPolicy = &policy.unix;
    if unix.mediation == Mediation::Off {
        return PathVerdict::NotMediated;
    }
    let grant = match operation {
        Operation::Bind => unix.bind_grant(resolved),
        _ => unix.connect_grant(resolved),
    };
    if let Some(grant) = grant {
        return PathVerdict::Granted(grant);
    }
    if let Some(denied) = policy.fs.denied_by(resolved) {
        return PathVerdict::Denied(Reason::Denied, denied.source.as_ref());
    }
    match unix.connect_grant(resolved) {
        Some(without_bind) => {
            PathVerdict::Denied(Reason::InsufficientAccess, Some(&without_bind.source))
        }
        None => PathVerdict::Denied(Reason::NoGrant, None),
    }
}

/// What a call is charged as: the socket's own domain decides, the address only where there is no
/// socket to ask.
#[must_use]
pub fn charged_family(domain: Option<Domain>, address: Option<&Address>) -> Family {
    match (domain, address) {
        (_, None) => Family::Unreadable,
        (Some(Domain::Unix), _) => Family::Unix,
        (Some(Domain::Inet), _) => Family::Inet,
        (Some(Domain::Netlink), _) => Family::Other,
        (None, Some(address)) => address.family(),
    }
}

#[cfg(test)]
mod tests;
