//! `bind`, performed on the caller's behalf.
//!
//! The call is made by a thread that may create sockets below the judged folder and nowhere else,
//! so that no link swapped in meanwhile can lead it away. Under a grant for a whole tree that is
//! as exact as the grant, and the address is passed on as the program wrote it, because that is
//! what `getsockname` will return. Under a narrower grant the thread stands in the judged folder
//! and binds the name alone.

use super::blocking::Interrupted;
use super::place::NewPlace;
use super::request::SocketRequest;
use super::resolve::resolve_new;
use super::turn::Turn;
use super::{Refusal, network, private_name};
use crate::IpcScope;
use crate::decide::{Address, Domain, PathVerdict, SocketCall, socket_call, unix_path};
use crate::policy::Reach;
use crate::record::{Kind, Operation, Reason};
use crate::sys;
use landlock::{
    AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, fstatat, umask};
use nix::unistd::{AccessFlags, faccessat, fchdir};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Performs the call.
pub(super) fn perform(turn: &Turn<'_>, args: [u64; 6]) -> Result<(), Interrupted> {
    Ok(bind(turn, &SocketRequest::paid(turn, args)?)?)
}

fn bind(turn: &Turn<'_>, request: &SocketRequest) -> Result<(), Errno> {
    let Turn { shared, caller, .. } = turn;
    if request.domain == Domain::Inet {
        return network::bind(turn, request);
    }
    match socket_call(request.domain, &request.address, shared.ipc) {
        SocketCall::AsCopied
            if request.address == Address::UnixUnnamed && shared.ipc == IpcScope::Mediated =>
        {
            caller.still_waits()?;
            shared.names.bind(request.socket.as_fd())
        }
        // An abstract name is this run's own from the moment it is bound: the socket was made by
        // the command, and the kernel's scope goes by its maker.
        SocketCall::AsCopied => {
            caller.still_waits()?;
            sys::bind(request.socket.as_fd(), &request.bytes)
        }
        SocketCall::OwnName(name) => {
            let address = private_name::address(turn, name)?;
            caller.still_waits()?;
            sys::bind(request.socket.as_fd(), &address)
        }
        SocketCall::Path(path) => {
            let base = caller.folder(libc::AT_FDCWD)?;
            let place = resolve_new(caller, Some(&base), path)
                .map_err(|e| if e == Errno::EEXIST { Errno::EADDRINUSE } else { e })?;
            caller.still_waits()?;
            let reach = judge(turn, path, &place)?;
            let mask = Mode::from_bits_truncate(caller.status()?.umask);
            // `/proc/self` would be ours.
            let as_written = reach == Reach::Subtree && !is_through_proc(path);
            let start = as_written.then_some(base);
            bind_confined(request, &place, start, mask)
        }
    }
}

/// How far the grant reaches that allows the name; records the refusal if there is none and the
/// sandbox made the difference.
fn judge(turn: &Turn<'_>, path: &[u8], place: &NewPlace) -> Result<Reach, Errno> {
    let policy = turn.shared.policy();
    let resolved = place.path()?;
    let granted = match unix_path(policy, Operation::Bind, &resolved) {
        PathVerdict::Granted(grant) => Ok(grant.reach),
        PathVerdict::NotMediated => Ok(Reach::Subtree),
        PathVerdict::Denied(reason, rule) => Err((reason, rule)),
    };
    // A socket is something else at a name that stays as it is.
    let protected = policy.fs.protected_by_name(&resolved);
    let (reason, rule) = match (granted, protected) {
        (Ok(_), Some(protected)) => (Reason::Protected, Some(&protected.source)),
        (Ok(reach), None) => return Ok(reach),
        (Err(why), _) => why,
    };
    let folder = place.folder.object.as_fd();
    if fstatat(folder, OsStr::from_bytes(&place.name), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
        return Err(Errno::EADDRINUSE);
    }
    faccessat(folder, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::empty())?;
    turn.record(Refusal {
        resolved: Some(resolved.as_bytes().to_vec()),
        ..turn.refusal(Kind::UnixSocket, path.to_vec(), (reason, rule))
    });
    Err(Errno::EACCES)
}

/// Binds in a thread of its own, which ends with the restriction it put on itself. `start`: where
/// the address as written starts; `None` for the name alone.
fn bind_confined(
    request: &SocketRequest,
    place: &NewPlace,
    start: Option<OwnedFd>,
    mask: Mode,
) -> Result<(), Errno> {
    let act = || {
        sys::unshare_file_attributes()?;
        umask(mask);
        only_in(&place.folder.object)?;
        let socket = request.socket.as_fd();
        match start {
            Some(folder) => {
                fchdir(&folder)?;
                sys::bind(socket, &request.bytes)
            }
            None => {
                fchdir(&place.folder.object)?;
                let family = request.bytes.get(..2).unwrap_or_default();
                sys::bind(socket, &[family, &place.name].concat())
            }
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bind".into()).spawn_scoped(scope, act);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Errno::EAGAIN),
        }
    })
}

fn is_through_proc(path: &[u8]) -> bool {
    path.starts_with(b"/proc/") || path.starts_with(b"/dev/")
}

/// The calling thread can make sockets below `folder` and nowhere else, whatever it could before.
fn only_in(folder: &OwnedFd) -> Result<(), Errno> {
    let folder = folder.try_clone().map_err(|_| Errno::EMFILE)?;
    let restrict = || -> Result<(), landlock::RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::MakeSock)?
            .create()?
            .add_rule(PathBeneath::new(folder, AccessFs::MakeSock))?
            .restrict_self()
            .map(|_| ())
    };
    restrict().map_err(|_| Errno::EACCES)
}
