//! Every call that changes a mode, an owner, a time or an extended attribute.

use crate::sys::{self, Outcome};
use nix::errno::Errno;
use std::ffi::CString;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("attribute", &[call, path]) => attribute(call, path),
        ("attribute-unnamed", &[]) => unnamed(),
        _ => return None,
    })
}

const NAME: &std::ffi::CStr = c"user.nono-probe";
const VALUE: &[u8] = b"value";
/// A time in 2001, twice.
const SECONDS: [i64; 2] = [978_350_400; 2];
const PAIRS: [i64; 4] = [978_350_400, 0, 978_350_400, 0];

/// Changes something about `path`; by descriptor where the call takes one, opened for reading.
fn attribute(call: &str, path: &str) -> Outcome {
    let text = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let (at, here) = (text.as_ptr() as usize, libc::AT_FDCWD as usize);
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let (user, group) = (user as usize, group as usize);
    let (name, value) = (NAME.as_ptr() as usize, VALUE.as_ptr() as usize);
    let open = |flags: i32| sys::call(libc::SYS_openat, &[here, at, flags as usize, 0]);
    let read = || open(libc::O_RDONLY);
    let empty = c"".as_ptr() as usize;
    let by_empty = libc::AT_EMPTY_PATH as usize;
    let nofollow = libc::AT_SYMLINK_NOFOLLOW as usize;
    let (mode, pairs) = (0o711, PAIRS.as_ptr() as usize);
    match call {
        #[cfg(target_arch = "x86_64")]
        "chmod" => sys::call(libc::SYS_chmod, &[at, mode]),
        #[cfg(target_arch = "x86_64")]
        "chown" => sys::call(libc::SYS_chown, &[at, user, group]),
        #[cfg(target_arch = "x86_64")]
        "lchown" => sys::call(libc::SYS_lchown, &[at, user, group]),
        #[cfg(target_arch = "x86_64")]
        "utime" => sys::call(libc::SYS_utime, &[at, SECONDS.as_ptr() as usize]),
        #[cfg(target_arch = "x86_64")]
        "utimes" => sys::call(libc::SYS_utimes, &[at, pairs]),
        #[cfg(target_arch = "x86_64")]
        "futimesat" => sys::call(libc::SYS_futimesat, &[here, at, pairs]),
        "fchmod" => sys::call(libc::SYS_fchmod, &[read()?, mode]),
        "fchmodat" => sys::call(libc::SYS_fchmodat, &[here, at, mode]),
        "fchmodat2" => sys::call(452, &[here, at, mode, 0]),
        "fchmodat2-empty" => sys::call(452, &[open(libc::O_PATH)?, empty, mode, by_empty]),
        "fchown" => sys::call(libc::SYS_fchown, &[read()?, user, group]),
        "fchownat" => sys::call(libc::SYS_fchownat, &[here, at, user, group, nofollow]),
        "fchownat-empty" => {
            sys::call(libc::SYS_fchownat, &[open(libc::O_PATH)?, empty, user, group, by_empty])
        }
        "utimensat" => sys::call(libc::SYS_utimensat, &[here, at, pairs, 0]),
        "utimensat-now" => sys::call(libc::SYS_utimensat, &[here, at, 0, nofollow]),
        "futimens" => sys::call(libc::SYS_utimensat, &[read()?, 0, pairs, 0]),
        "utimensat-empty" => {
            sys::call(libc::SYS_utimensat, &[open(libc::O_PATH)?, empty, pairs, by_empty])
        }
        "setxattr" => sys::call(libc::SYS_setxattr, &[at, name, value, VALUE.len(), 0]),
        "lsetxattr" => sys::call(libc::SYS_lsetxattr, &[at, name, value, VALUE.len(), 0]),
        "fsetxattr" => sys::call(libc::SYS_fsetxattr, &[read()?, name, value, VALUE.len(), 0]),
        "removexattr" => sys::call(libc::SYS_removexattr, &[at, name]),
        "lremovexattr" => sys::call(libc::SYS_lremovexattr, &[at, name]),
        "fremovexattr" => sys::call(libc::SYS_fremovexattr, &[read()?, name]),
        "setxattrat" => {
            let value = [value as u64, VALUE.len() as u64];
            sys::call(463, &[here, at, 0, name, value.as_ptr() as usize, 16])
        }
        "removexattrat" => sys::call(466, &[here, at, 0, name]),
        // FS_IOC_GETFLAGS and FS_IOC_SETFLAGS: sets what is set, which takes the same rights.
        "flags" => {
            let mut flags = 0_usize;
            let fd = read()?;
            sys::call(libc::SYS_ioctl, &[fd, 0x8008_6601, &raw mut flags as usize])?;
            sys::call(libc::SYS_ioctl, &[fd, 0x4008_6602, &raw const flags as usize])
        }
        _ => return odd(call, &text),
    }
    .map(|_| String::new())
}

/// What the kernel refuses, and what changes nothing.
fn odd(call: &str, path: &std::ffi::CStr) -> Outcome {
    let (at, here) = (path.as_ptr() as usize, libc::AT_FDCWD as usize);
    let (name, value) = (NAME.as_ptr() as usize, VALUE.as_ptr() as usize);
    let pinned = || sys::call(libc::SYS_openat, &[here, at, libc::O_PATH as usize, 0]);
    let (empty, mode) = (c"".as_ptr() as usize, 0o711);
    match call {
        // By descriptors that are no way to an object.
        "fchmod-path" => sys::call(libc::SYS_fchmod, &[pinned()?, mode]),
        "futimens-path" => {
            sys::call(libc::SYS_utimensat, &[pinned()?, 0, PAIRS.as_ptr() as usize, 0])
        }
        "fchmod-none" => sys::call(libc::SYS_fchmod, &[9999, mode]),
        "utimes-bad" => {
            let bad: [i64; 4] = [0, 1_000_000, 0, 0];
            sys::call(libc::SYS_utimes, &[at, bad.as_ptr() as usize])
        }
        "utimensat-bad" => {
            let bad: [i64; 4] = [0, 1_000_000_000, 0, 0];
            sys::call(libc::SYS_utimensat, &[here, at, bad.as_ptr() as usize, 0])
        }
        "utimensat-omit" => {
            let omit: [i64; 4] = [0, libc::UTIME_OMIT, 0, libc::UTIME_OMIT];
            sys::call(libc::SYS_utimensat, &[here, at, omit.as_ptr() as usize, 0])
        }
        "chmod-null" => sys::call(libc::SYS_fchmodat, &[here, 0, mode]),
        "chmod-flags" => sys::call(452, &[here, at, mode, 1]),
        "chmod-link" => sys::call(452, &[here, at, mode, libc::AT_SYMLINK_NOFOLLOW as usize]),
        "setxattr-name" => sys::call(libc::SYS_setxattr, &[at, empty, value, 1, 0]),
        "setxattr-size" => sys::call(libc::SYS_setxattr, &[at, name, value, 65537, 0]),
        "setxattr-flags" => sys::call(libc::SYS_setxattr, &[at, name, value, 1, 8]),
        _ => return Err(Errno::EINVAL),
    }
    .map(|_| String::new())
}

/// Objects without a name belong to whoever has them: a pipe, a socket, memory, an unlinked file.
fn unnamed() -> Outcome {
    let mut pipe = [0_i32; 2];
    sys::call(libc::SYS_pipe2, &[pipe.as_mut_ptr() as usize, 0])?;
    let [socket, _] = sys::socketpair(libc::AF_UNIX, libc::SOCK_STREAM)?;
    let memory = sys::call(libc::SYS_memfd_create, &[c"probe".as_ptr() as usize, 0])? as i32;
    let file = std::fs::File::create("unlinked").map_err(|_| Errno::EACCES)?;
    std::fs::remove_file("unlinked").map_err(|_| Errno::EACCES)?;
    for fd in [pipe[0], socket, memory, std::os::fd::AsRawFd::as_raw_fd(&file)] {
        sys::call(libc::SYS_fchmod, &[fd as usize, 0o600])?;
    }
    Ok(String::new())
}
