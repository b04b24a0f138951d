//! Installing filters.

use super::own_returned;
use nix::errno::Errno;
use seccompiler::sock_filter;
use std::os::fd::OwnedFd;

/// Installs a filter for the calling thread and everything it starts, and returns its listener.
///
/// `WAIT_KILLABLE_RECV` (Linux 5.19): once a notification was received, only a fatal signal ends
/// the caller's wait. Without it any signal restarts a call that may already have been performed:
/// Go's preemption signals would turn a successful `connect` into `EISCONN`.
///
/// # Errors
/// `EACCES` without `no_new_privs`, `EINVAL` for an empty or malformed program, `EBUSY` if the
/// thread already has a listener (seccomp(2)).
pub fn install_filter(program: &[sock_filter]) -> Result<OwnedFd, Errno> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    // The kernel copies the instructions and never writes to them; the field is `*mut` in C only.
    let filter = program.as_ptr().cast_mut().cast::<libc::sock_filter>();
    let program = libc::sock_fprog { len, filter };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: `program` points to `len` instructions that outlive the call (seccomp(2));
    // seccompiler's `sock_filter` is `repr(C)` with the layout of linux/filter.h.
    own_returned(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&program),
        )
    })
}

/// Whether the kernel knows user notification: asked, not guessed from a version.
#[must_use]
pub fn notify_available() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: SECCOMP_GET_ACTION_AVAIL reads one u32 that outlives the call and changes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            std::ptr::from_ref(&action),
        )
    };
    result == 0
}

/// The kernel's Landlock ABI, 0 where Landlock is missing or switched off.
#[must_use]
pub fn landlock_abi() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with the VERSION flag the kernel takes a null pointer and size 0 and only returns a
    // number (landlock_create_ruleset(2)).
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(result).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    /// The value is 1 << 5 in linux/seccomp.h; 1 << 4 is TSYNC_ESRCH, and a supervisor that uses it
    /// by mistake never waits killably.
    #[test]
    fn wait_killable_has_its_true_value() {
        assert_eq!(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 1 << 5);
        assert_eq!(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, 1 << 3);
    }
}
