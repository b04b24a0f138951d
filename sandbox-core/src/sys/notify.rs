//! The listener's ioctls (seccomp_unotify(2)).

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One notification, as the kernel reported it: registers, nothing from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationData {
    /// The kernel's name for this notification.
    pub id: u64,
    /// The *thread* that is waiting, in our PID namespace; 0 if it is not visible there.
    pub tid: i32,
    /// System call number.
    pub nr: i64,
    /// Argument registers.
    pub args: [u64; 6],
}

/// One ioctl of a listener about `value`, which it reads or writes and does not keep.
///
/// # Safety
/// `request` must be about a `T`, and no more than that.
unsafe fn exchange<T>(
    listener: BorrowedFd<'_>,
    request: libc::Ioctl,
    value: &mut T,
) -> Result<(), Errno> {
    // SAFETY: the kernel reads or writes one `T`, as the caller says, which is exclusively borrowed
    // for the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), request, std::ptr::from_mut(value)) };
    Errno::result(result).map(|_| ())
}

/// Waits for the next notification.
///
/// # Errors
/// `ENOENT`: the caller died while this was on its way; call again. `EINTR`: likewise.
/// Anything else: the listener is of no more use.
pub fn receive(listener: BorrowedFd<'_>) -> Result<NotificationData, Errno> {
    // SAFETY: every field of `seccomp_notif` is an integer, for which zero is a value. The kernel
    // demands a zeroed structure.
    let mut notif: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: NOTIF_RECV writes one `seccomp_notif`.
    unsafe { exchange(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &mut notif) }?;
    Ok(NotificationData {
        id: notif.id,
        tid: i32::try_from(notif.pid).unwrap_or(0),
        nr: i64::from(notif.data.nr),
        args: notif.data.args,
    })
}

fn send(listener: BorrowedFd<'_>, response: libc::seccomp_notif_resp) -> Result<(), Errno> {
    let mut response = response;
    // SAFETY: NOTIF_SEND reads one `seccomp_notif_resp`.
    unsafe { exchange(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &mut response) }
}

/// Answers with a return value, or a negative errno. `-512` (ERESTARTSYS) makes the kernel restart
/// or interrupt the call as the pending signal's handler asks for.
///
/// # Errors
/// `ENOENT` if the caller is gone.
pub fn finish_call(
    listener: BorrowedFd<'_>,
    id: u64,
    result: Result<i64, i32>,
) -> Result<(), Errno> {
    let (val, error) = match result {
        Ok(val) => (val, 0),
        Err(errno) => (0, -errno),
    };
    send(listener, libc::seccomp_notif_resp { id, val, error, flags: 0 })
}

/// Answers "let the kernel do it". Only for calls that nobody judged.
///
/// # Errors
/// `ENOENT` if the caller is gone.
pub fn continue_call(listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).map_err(|_| Errno::EINVAL)?;
    send(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
}

/// Answers with a descriptor of the caller's for what `fd` is open on, in one step (Linux 5.14).
///
/// # Errors
/// Those of making a descriptor there, `EMFILE` first of all: the call is not answered then. `ENOENT`
/// if the caller is gone.
pub fn answer_with_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<(), Errno> {
    let close_on_exec = if close_on_exec { libc::O_CLOEXEC.unsigned_abs() } else { 0 };
    let mut add = libc::seccomp_notif_addfd {
        id,
        flags: u32::try_from(libc::SECCOMP_ADDFD_FLAG_SEND).map_err(|_| Errno::EINVAL)?,
        srcfd: fd.as_raw_fd().unsigned_abs(),
        newfd: 0,
        newfd_flags: close_on_exec,
    };
    // SAFETY: NOTIF_ADDFD reads one `seccomp_notif_addfd`.
    unsafe { exchange(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut add) }
}

/// Whether the caller still waits for this answer. While it does, its thread id cannot be reused.
#[must_use]
pub fn id_is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: NOTIF_ID_VALID reads one u64 from the pointer, which outlives the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            std::ptr::from_ref(&id),
        )
    };
    result == 0
}

/// Asks the kernel to run supervisor and caller on one processor in turn (Linux 6.6): 3 µs instead
/// of 30 for a round trip.
///
/// # Errors
/// `EINVAL` before Linux 6.6; everything works without it, slower.
pub fn set_sync_wakeup(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    /// linux/seccomp.h; not in libc.
    const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: u64 = 1;
    // SAFETY: NOTIF_SET_FLAGS takes the flags by value.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP,
        )
    };
    Errno::result(result).map(|_| ())
}
