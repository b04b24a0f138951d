//! What `connect`, `bind` and addressed sends have in common: the copied address, the held socket,
//! the judgement of a path, and connecting to what was judged.

use super::blocking::Interrupted;
use super::caller::{Caller, Confirmed};
use super::resolve::{Last, resolve_at};
use super::turn::Turn;
use super::{Refusal, Shared, pinned};
use crate::AbsPath;
use crate::IpcScope;
use crate::decide::{Address, Domain, FileKind, PathVerdict, charged_family, unix_path};
use crate::record::{Kind, Layer, Operation, Reason};
use crate::register::int;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstat;
use nix::unistd::{AccessFlags, faccessat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The largest address the kernel copies (`sizeof(struct sockaddr_storage)`).
const MAX_ADDRESS: usize = 128;

/// A socket call whose address was copied and whose socket is held. Whether both are the caller's
/// is to be confirmed before anything is done with them.
#[derive(Debug)]
pub(super) struct SocketRequest {
    pub(super) socket: OwnedFd,
    pub(super) domain: Domain,
    /// The bytes as the program passed them.
    pub(super) bytes: Vec<u8>,
    /// The same, parsed.
    pub(super) address: Address,
}

impl SocketRequest {
    /// Copies and holds, in the order in which the kernel would find faults.
    pub(super) fn take(
        turn: &Turn<'_>,
        (fd, address, length): (u64, u64, u64),
    ) -> Result<Self, Errno> {
        let (socket, domain) = turn.hold(fd)?;
        // Negative and oversized lengths are the same fault.
        let length = usize::try_from(int(length)).ok().filter(|length| *length <= MAX_ADDRESS);
        let length = length.ok_or(Errno::EINVAL)?;
        let bytes = turn.caller.read(address, length)?;
        let address = Address::parse(&bytes);
        Ok(Self { socket, domain, bytes, address })
    }

    /// The same for a call that is about an address and nothing else: told if the caller cannot be
    /// read, and paid for.
    pub(super) fn paid(
        turn: &Turn<'_>,
        [fd, address, length, ..]: [u64; 6],
    ) -> Result<Self, Interrupted> {
        let request = Self::take(turn, (fd, address, length))
            .inspect_err(|errno| turn.unreadable(*errno, Kind::UnixSocket))?;
        request.charge(turn)?;
        Ok(request)
    }

    /// Pays for the call.
    pub(super) fn charge(&self, turn: &Turn<'_>) -> Result<(), Interrupted> {
        turn.pay_for(charged_family(Some(self.domain), Some(&self.address)))
    }
}

/// Connects a socket to an address that was judged, for as long as the caller waits for it.
pub(super) fn connect_to(
    turn: &Turn<'_>,
    _: Confirmed,
    socket: &OwnedFd,
    address: &[u8],
) -> Result<(), Interrupted> {
    turn.on_socket(socket.as_fd(), || sys::connect(socket.as_fd(), address))
}

/// A caller that cannot be read (`EPERM` from ptrace rules) cannot be judged. That is a refusal of
/// the sandbox and recorded as one; a bad pointer is the program's own mistake.
pub(in crate::supervisor) fn unreadable(
    shared: &Shared,
    caller: &Caller<'_>,
    (errno, kind): (Errno, Kind),
    operation: Operation,
    syscall: &'static str,
) {
    if errno != Errno::EPERM {
        return;
    }
    let target = b"(unreadable address)".to_vec();
    let why = (Reason::NotSupported, None);
    let what = (kind, operation);
    let refusal = Refusal { errno, ..Refusal::mediated(what, target, syscall, why) };
    shared.record(caller, refusal);
}

/// An abstract socket of another run or of the host. Landlock's scope says `EPERM`, as for a
/// signal; a program gets the errno of every other refused socket.
pub(super) fn refuse_abstract(turn: &Turn<'_>, name: &[u8]) -> Errno {
    let target = [b"@", name].concat();
    let refusal = turn.refusal(Kind::UnixSocket, target, (Reason::NotSupported, None));
    let layer = match turn.shared.ipc {
        IpcScope::Kernel => Layer::Landlock,
        IpcScope::Mediated => Layer::Mediation,
    };
    turn.record(Refusal { layer, ..refusal });
    Errno::EACCES
}

/// Records that nothing was found because what is there is hidden.
fn refuse_hidden(turn: &Turn<'_>, errno: Errno, path: &[u8]) {
    let Ok(absolute) = AbsPath::new(OsStr::from_bytes(path)) else { return };
    let fs = &turn.shared.policy().fs;
    if errno == Errno::EACCES && fs.hides(&absolute) {
        let closed = fs.denied_by(&absolute);
        let why = (Reason::Denied, closed.and_then(|denied| denied.source.as_ref()));
        turn.record(turn.refusal(Kind::UnixSocket, path.to_vec(), why));
    }
}

/// Resolves and judges a path; the pinned socket if it may be reached, by a caller that still waits.
pub(super) fn judge(turn: &Turn<'_>, path: &[u8]) -> Result<(OwnedFd, Confirmed), Errno> {
    let place = resolve_at(&turn.caller, libc::AT_FDCWD, path, Last::Follow)
        .inspect_err(|errno| refuse_hidden(turn, *errno, path))?;
    let confirmed = turn.caller.still_waits()?;
    let why = match unix_path(turn.shared.policy(), turn.operation, &place.path) {
        PathVerdict::Granted(_) | PathVerdict::NotMediated => {
            return Ok((place.object, confirmed));
        }
        PathVerdict::Denied(reason, rule) => (reason, rule),
    };
    // Where the kernel would have failed anyway, its error is the answer and nothing was denied.
    if FileKind::of(&fstat(&place.object)?) != FileKind::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    let name = pinned::name(&place.object);
    faccessat(AT_FDCWD, name.as_str(), AccessFlags::W_OK, AtFlags::empty())?;
    let resolved = Some(place.path.as_bytes().to_vec());
    turn.record(Refusal { resolved, ..turn.refusal(Kind::UnixSocket, path.to_vec(), why) });
    Err(Errno::EACCES)
}
