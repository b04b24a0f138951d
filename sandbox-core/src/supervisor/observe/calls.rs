//! The watched calls: which register is which.

use super::moves::{self, Moving};
use super::response::Response;
use super::watched::{Start, Watched};
use super::{examine, signals};
use crate::AbsPath;
use crate::decide::{Attempt, Relocation, Target, node_attempt, open_attempt};
use crate::filter::Observed;
use crate::record::{Kind, Operation};
use crate::register::int;
use crate::supervisor::mediate::place::{LeadsTo, Place};
use crate::supervisor::mediate::resolve::{Last, plain_in};
use crate::supervisor::mediate::{Caller, ObservedCall, Shared, unreadable};
use crate::sys::NotificationData;
use nix::errno::Errno;
use std::cell::OnceCell;

/// What a call asks for, read while its caller waits.
enum Seen {
    /// One path.
    Path(Watched),
    /// Two names.
    Move(Moving),
    /// A signal to this process.
    Signal(i32),
    /// Nothing the sandbox has a say in.
    Nothing,
}

/// Reads what the call is about, looks at it and lets it go on, unless it would change what stays
/// as it is.
///
/// The usual call is for something that is allowed, as its path already tells if there is no link
/// on the way. Such a call goes on first and the links are looked for then; where something is kept
/// as it is, one that could change it waits for that. The others are looked at while they wait:
/// their object, their program and their process are what they are now.
pub(in crate::supervisor) fn look(shared: &Shared, call: ObservedCall<'_>) {
    let (data, name) = (call.data(), call.name);
    let may_change_protected = shared.protects() && may_change(call.call, &data);
    let Some(caller) = shared.caller(&data) else {
        return answer(call, Response::without_look(may_change_protected, Errno::EPERM));
    };
    let seen = match read(shared, &caller, call.call, &data) {
        Ok(seen) => seen,
        Err(errno) => {
            let response = Response::without_look(may_change_protected, errno);
            if let Response::Refuse(errno) = response {
                unreadable(shared, &caller, (errno, Kind::Fs), Operation::Write, name);
            }
            return answer(call, response);
        }
    };
    if let (Observed::Exec | Observed::ExecAt, Seen::Path(watched)) = (call.call, &seen) {
        shared.note_program(&watched.path);
    }
    let path = if let Seen::Path(watched) = &seen { Some(watched) } else { None };
    let seems_allowed = path.is_some_and(|watched| watched.seems_allowed(shared.index()));
    let waits = shared.protects() && path.is_some_and(|watched| watched.attempt.may_change());
    let mut call = Some(call);
    if seems_allowed
        && !waits
        && let Some(call) = call.take()
    {
        call.go_on();
    }
    let response = match &seen {
        Seen::Path(watched) if seems_allowed && !watched.may_have_links() => Response::GoOn,
        Seen::Path(watched) => examine(shared, &caller, watched, name),
        Seen::Move(moving) => moves::examine(shared, &caller, moving, name),
        Seen::Signal(pid) => {
            signals::examine(shared, &caller, *pid, name);
            Response::GoOn
        }
        Seen::Nothing => Response::GoOn,
    };
    if let Some(call) = call {
        answer(call, response);
    }
}

fn answer(call: ObservedCall<'_>, response: Response) {
    match response {
        Response::GoOn => call.go_on(),
        Response::Refuse(errno) => call.refuse(errno),
    }
}

/// Whether a call could change something, by its registers alone.
fn may_change(call: Observed, data: &NotificationData) -> bool {
    let [_, b, c, ..] = data.args;
    let opens = |flags| open_attempt(flags).is_some_and(|attempt| attempt.may_change());
    match call {
        Observed::Open => opens(int(b)),
        Observed::OpenAt => opens(int(c)),
        Observed::Exec | Observed::ExecAt | Observed::Kill => false,
        _ => true,
    }
}

/// A path argument and where it starts.
fn at(caller: &Caller<'_>, dirfd: i32, address: u64, attempt: Attempt) -> Result<Watched, Errno> {
    at_in(|| caller.folder_path(dirfd).ok(), caller, (dirfd, address), attempt)
}

/// Two of them. The folder they both start in is asked for once: that is the dearest part of it.
fn both(
    caller: &Caller<'_>,
    from: (i32, u64),
    to: (i32, u64),
) -> Result<(Watched, Watched), Errno> {
    let folder = OnceCell::new();
    let of_from = || folder.get_or_init(|| caller.folder_path(from.0).ok()).clone();
    let of_to = || if to.0 == from.0 { of_from() } else { caller.folder_path(to.0).ok() };
    // The attempt is the move's own; a path needs one to be read.
    Ok((at_in(of_from, caller, from, Attempt::UNLINK)?, at_in(of_to, caller, to, Attempt::CREATE)?))
}

/// A path argument whose folder is called `folder`.
fn at_in(
    folder: impl FnOnce() -> Option<AbsPath>,
    caller: &Caller<'_>,
    (dirfd, address): (i32, u64),
    attempt: Attempt,
) -> Result<Watched, Errno> {
    let path = caller.read_path(address)?;
    let start = match plain_in(folder, &path) {
        Some(plain) => {
            let relative = path.first() != Some(&b'/');
            Start::Plain { path: plain, written_from: relative.then_some(dirfd) }
        }
        None if path.first() == Some(&b'/') => Start::In(None),
        None => Start::In(Some(caller.folder(dirfd)?)),
    };
    Ok(Watched { attempt, path, start })
}

/// The file that `linkat` with these flags gives a second name, if that one stays as it is.
fn kept_source(
    shared: &Shared,
    caller: &Caller<'_>,
    (dirfd, address): (i32, u64),
    flags: i32,
) -> Result<Option<Watched>, Errno> {
    if !shared.protects() {
        return Ok(None);
    }
    let written = caller.read_path(address)?;
    let (source, path) = if written.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        let file = caller.folder(dirfd)?;
        let LeadsTo::Place(Place { path, .. }) = LeadsTo::of(file, None)? else { return Ok(None) };
        let start = Start::Plain { path: path.clone(), written_from: None };
        (Watched { attempt: Attempt::RELINK, path: path.as_bytes().to_vec(), start }, path)
    } else {
        let follow = flags & libc::AT_SYMLINK_FOLLOW != 0;
        let (target, last) =
            if follow { (Target::Object, Last::Follow) } else { (Target::Link, Last::NoFollow) };
        let source = at(caller, dirfd, address, Attempt { target, ..Attempt::RELINK })?;
        let LeadsTo::Place(Place { path, .. }) = source.find(caller, last)? else {
            return Ok(None);
        };
        (source, path)
    };
    let kept = shared.policy().fs.protected.iter().any(|kept| kept.holds(&path));
    Ok(kept.then_some(source))
}

fn read(
    shared: &Shared,
    caller: &Caller<'_>,
    call: Observed,
    data: &NotificationData,
) -> Result<Seen, Errno> {
    let [a, b, c, d, e, _] = data.args;
    let cwd = libc::AT_FDCWD;
    let one = |dirfd, path, attempt| Ok(Seen::Path(at(caller, dirfd, path, attempt)?));
    let some = |dirfd, path, attempt: Option<Attempt>| match attempt {
        Some(attempt) => one(dirfd, path, attempt),
        None => Ok(Seen::Nothing),
    };
    let two = |from, to, how, replace| {
        let (from, to) = both(caller, from, to)?;
        Ok(Seen::Move(Moving { from, to, how, replace }))
    };
    match call {
        Observed::Open => some(cwd, a, open_attempt(int(b))),
        Observed::OpenAt => some(int(a), b, open_attempt(int(c))),
        Observed::Creat => {
            some(cwd, a, open_attempt(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC))
        }
        Observed::Exec => one(cwd, a, Attempt::EXECUTE),
        // With AT_EMPTY_PATH the file is open already and was judged then.
        Observed::ExecAt if int(e) & libc::AT_EMPTY_PATH != 0 => Ok(Seen::Nothing),
        Observed::ExecAt => one(int(a), b, Attempt::EXECUTE),
        Observed::Truncate => one(cwd, a, Attempt::TRUNCATE),
        Observed::MakeFolder => one(cwd, a, Attempt::CREATE),
        Observed::MakeFolderAt => one(int(a), b, Attempt::CREATE),
        Observed::MakeNode => some(cwd, a, node_attempt(int(b).cast_unsigned())),
        Observed::MakeNodeAt => some(int(a), b, node_attempt(int(c).cast_unsigned())),
        Observed::Symlink => one(cwd, b, Attempt::SYMLINK),
        Observed::SymlinkAt => one(int(b), c, Attempt::SYMLINK),
        Observed::Unlink => one(cwd, a, Attempt::UNLINK),
        Observed::RemoveFolder => one(cwd, a, Attempt::RMDIR),
        Observed::UnlinkAt if int(c) & libc::AT_REMOVEDIR != 0 => one(int(a), b, Attempt::RMDIR),
        Observed::UnlinkAt => one(int(a), b, Attempt::UNLINK),
        Observed::Rename => two((cwd, a), (cwd, b), Relocation::Rename, true),
        Observed::RenameAt => two((int(a), b), (int(c), d), Relocation::Rename, true),
        Observed::RenameAt2 => {
            let exchange = e & u64::from(libc::RENAME_EXCHANGE) != 0;
            let how = if exchange { Relocation::Exchange } else { Relocation::Rename };
            let replace = e & u64::from(libc::RENAME_NOREPLACE) == 0;
            two((int(a), b), (int(c), d), how, replace)
        }
        Observed::Link => two((cwd, a), (cwd, b), Relocation::Link, false),
        // A file that is open already gets a name: where that goes matters, and whether the file
        // is one that stays as it is.
        Observed::LinkAt if int(e) & (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_FOLLOW) != 0 => {
            match kept_source(shared, caller, (int(a), b), int(e))? {
                Some(source) => Ok(Seen::Path(source)),
                // A file without a name has a new one all the same.
                None => one(int(c), d, Attempt::CREATE),
            }
        }
        Observed::LinkAt => two((int(a), b), (int(c), d), Relocation::Link, false),
        // Groups and "everyone" may be partly inside: the kernel signals whom it may.
        Observed::Kill if int(a) > 0 => Ok(Seen::Signal(int(a))),
        Observed::Kill => Ok(Seen::Nothing),
    }
}
