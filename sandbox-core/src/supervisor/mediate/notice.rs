//! Watching and locking files, performed on the caller's behalf.
//!
//! Neither opens a file to change it, so Landlock has no right for them: inotify takes a path that
//! the user may read, `flock` any descriptor. Without this a command could learn when files outside
//! of its grants are used, and make others wait for locks on files it may only read.

use super::blocking::{Interrupted, conclude};
use super::caller::Caller;
use super::leader::Turn;
use super::listener::MediatedCall;
use super::resolve::{Last, resolve_at};
use super::{Refusal, Shared, pinned};
use crate::AbsPath;
use crate::policy::Access;
use crate::record::{Kind, Operation, Reason};
use crate::register::{int, unsigned};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstat;
use nix::unistd::{AccessFlags, faccessat};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// A file somebody wants to notice, and how the program called it.
struct Noticed {
    object: OwnedFd,
    path: AbsPath,
    written: Vec<u8>,
}

/// `inotify_add_watch(fd, path, mask)`: whoever may read an object may watch it.
pub(super) fn watch(turn: &Turn<'_>, call: MediatedCall<'_>) {
    let shared = Arc::clone(turn.shared);
    let data = call.data();
    let Some(caller) = Caller::new(shared.listener(), &data) else { return drop(call) };
    let [fd, address, mask, ..] = data.args;
    let mask = unsigned(mask);
    let act = || -> Result<i64, Errno> {
        let inotify = caller.descriptor(fd)?;
        let written = caller.read_path(address)?;
        let last = if mask & libc::IN_DONT_FOLLOW == 0 { Last::Follow } else { Last::NoFollow };
        let place = resolve_at(&caller, libc::AT_FDCWD, &written, last)?;
        caller.still_waits()?;
        let noticed = Noticed { object: place.object, path: place.path, written };
        judge(&shared, &caller, &noticed, (Access::READ, Operation::Read), call.name)?;
        // The name leads to the pinned object, a symbolic link included.
        let name = pinned::name(&noticed.object);
        sys::add_watch(inotify.as_fd(), &name, mask & !libc::IN_DONT_FOLLOW).map(i64::from)
    };
    let result = act();
    call.answer(result.map_err(|errno| errno as i32));
}

/// `flock(fd, operation)` for an exclusive lock: whoever may write a file may have others wait.
pub(super) fn lock(turn: &mut Turn<'_>, call: MediatedCall<'_>) {
    let shared = Arc::clone(turn.shared);
    let data = call.data();
    let Some(caller) = Caller::new(shared.listener(), &data) else { return drop(call) };
    let [fd, operation, ..] = data.args;
    let operation = int(operation);
    let pinned = || -> Result<OwnedFd, Errno> {
        let object = caller.descriptor(fd)?;
        caller.still_waits()?;
        match pinned::path_if_linked(&object, &fstat(&object)?)? {
            None => Ok(object),
            Some(path) => {
                let written = path.as_bytes().to_vec();
                let noticed = Noticed { object, path, written };
                judge(&shared, &caller, &noticed, (Access::WRITE, Operation::Write), call.name)?;
                Ok(noticed.object)
            }
        }
    };
    // The lock belongs to the open file, which the duplicate shares with the caller's descriptor.
    let result = match pinned() {
        Ok(object) => turn.may_block(&caller, || sys::lock_file(object.as_fd(), operation)),
        Err(errno) => Err(Interrupted::Failed(errno)),
    };
    conclude(call, result);
}

/// Refuses what the policy does not allow; records it where ordinary permissions would have.
fn judge(
    shared: &Shared,
    caller: &Caller<'_>,
    noticed: &Noticed,
    (access, operation): (Access, Operation),
    syscall: &'static str,
) -> Result<(), Errno> {
    let answer = shared.policy().fs.lookup(&noticed.path, access);
    let Some((reason, rule)) = Reason::of(answer) else { return Ok(()) };
    let name = pinned::name(&noticed.object);
    if faccessat(AT_FDCWD, name.as_str(), AccessFlags::R_OK, AtFlags::empty()).is_err() {
        return Err(Errno::EACCES);
    }
    let target = noticed.written.clone();
    let refusal = Refusal {
        access,
        resolved: Some(noticed.path.as_bytes().to_vec()),
        ..Refusal::mediated((Kind::Fs, operation), target, syscall, (reason, rule))
    };
    shared.record(caller, refusal);
    Err(Errno::EACCES)
}
