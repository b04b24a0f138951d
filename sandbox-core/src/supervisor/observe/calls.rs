//! The watched calls: which register is which.

use super::{Watched, examine};
use crate::decide::{Attempt, open_attempt};
use crate::filter::Observed;
use crate::supervisor::mediate::{Caller, ObservedCall, Shared};
use crate::sys::NotificationData;
use nix::errno::Errno;

/// Reads what the call is about, lets it go on, then looks at it.
pub(in crate::supervisor) fn look(shared: &Shared, call: ObservedCall<'_>) {
    let (data, name) = (call.data(), call.name);
    let Some(caller) = shared.caller(&data) else { return call.go_on() };
    let watched = read(&caller, call.call, &data);
    call.go_on();
    for path in watched.unwrap_or_default() {
        examine(shared, &caller, &path, name);
    }
}

/// A register as the `int` the kernel takes it for.
fn int(register: u64) -> i32 {
    let [a, b, c, d, ..] = register.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// A path argument and where it starts.
fn at(caller: &Caller<'_>, dirfd: i32, address: u64, attempt: Attempt) -> Result<Watched, Errno> {
    let path = caller.read_path(address)?;
    let base = match path.first() {
        Some(b'/') => None,
        _ => Some(caller.folder(dirfd)?),
    };
    Ok(Watched { attempt, path, base })
}

/// The paths of a call with what each needs. An error: the kernel will find the same fault.
fn read(
    caller: &Caller<'_>,
    call: Observed,
    data: &NotificationData,
) -> Result<Vec<Watched>, Errno> {
    let [a, b, c, d, e, _] = data.args;
    let cwd = libc::AT_FDCWD;
    let open = |dirfd, path, flags| match open_attempt(flags) {
        Some(attempt) => Ok(vec![at(caller, dirfd, path, attempt)?]),
        None => Ok(Vec::new()),
    };
    let one = |dirfd, path, attempt| Ok(vec![at(caller, dirfd, path, attempt)?]);
    let two = |from: (i32, u64), to: (i32, u64)| {
        Ok(vec![
            at(caller, from.0, from.1, Attempt::MOVE_FROM)?,
            at(caller, to.0, to.1, Attempt::MOVE_TO)?,
        ])
    };
    match call {
        Observed::Open => open(cwd, a, int(b)),
        Observed::OpenAt => open(int(a), b, int(c)),
        Observed::OpenAt2 => {
            // `struct open_how` begins with 64 bits of flags (openat2(2)).
            let flags: [u8; 8] = caller.read(c, 8)?.try_into().map_err(|_| Errno::EFAULT)?;
            open(int(a), b, int(u64::from_ne_bytes(flags)))
        }
        Observed::Creat => open(cwd, a, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
        Observed::Exec => one(cwd, a, Attempt::EXECUTE),
        // With AT_EMPTY_PATH the file is open already and was judged then.
        Observed::ExecAt if int(e) & libc::AT_EMPTY_PATH != 0 => Ok(Vec::new()),
        Observed::ExecAt => one(int(a), b, Attempt::EXECUTE),
        Observed::Truncate => one(cwd, a, Attempt::TRUNCATE),
        Observed::Make => one(cwd, a, Attempt::CREATE),
        Observed::MakeAt => one(int(a), b, Attempt::CREATE),
        Observed::Symlink => one(cwd, b, Attempt::CREATE),
        Observed::SymlinkAt => one(int(b), c, Attempt::CREATE),
        Observed::Remove => one(cwd, a, Attempt::DELETE),
        Observed::RemoveAt => one(int(a), b, Attempt::DELETE),
        Observed::Move => two((cwd, a), (cwd, b)),
        Observed::MoveAt => two((int(a), b), (int(c), d)),
    }
}
