//! Processes, threads and their descriptors.

use super::own_returned;
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

pub use nix::unistd::ForkResult;

/// Forks. The caller must have one thread, which is checked, because only then may the child run
/// ordinary code.
///
/// # Errors
/// `EBUSY` if the process has more than one thread; otherwise as fork(2).
pub fn fork() -> Result<ForkResult, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(|_| Errno::ENOSYS)?.count();
    if threads != 1 {
        return Err(Errno::EBUSY);
    }
    // SAFETY: with a single thread no lock can be held by another one, so the child is as free as
    // the parent (fork(2), signal-safety(7)).
    unsafe { nix::unistd::fork() }
}

/// Ends the process at once: no destructors, no exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Tries to make a character device with this number. The kernel takes the lower half of `number`
/// and writes all of it to its audit log if Landlock refuses the call.
///
/// # Errors
/// As mknodat(2).
pub fn try_to_make_device(path: &CStr, number: u64) -> Result<(), Errno> {
    let (at, mode) = (libc::AT_FDCWD, libc::S_IFCHR);
    // SAFETY: `path` ends in NUL and outlives the call, which only reads it.
    let made = unsafe { libc::syscall(libc::SYS_mknodat, at, path.as_ptr(), mode, number) };
    Errno::result(made).map(drop)
}

/// A descriptor for the *thread* `tid` (`PIDFD_THREAD`, Linux 6.9).
///
/// # Errors
/// `ESRCH` if it is gone, `EINVAL` before Linux 6.9.
pub fn open_thread_pidfd(tid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes two integers.
    own_returned(unsafe { libc::syscall(libc::SYS_pidfd_open, tid, libc::PIDFD_THREAD) })
}

/// A descriptor for the process `pid`.
///
/// # Errors
/// `ESRCH` if it is gone, `EINVAL` if `pid` does not lead its thread group.
pub fn open_pidfd(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes two integers.
    own_returned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// A copy of descriptor `fd` of the task behind `pidfd`, close-on-exec.
///
/// # Errors
/// `EBADF` if it has no such descriptor, `EPERM` without ptrace access, `ESRCH` if it is gone.
pub fn duplicate_from(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_getfd takes three integers.
    own_returned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })
}

/// Makes the terminal behind standard input the controlling terminal of the calling process, which
/// must lead a session without one.
///
/// # Errors
/// `EPERM` if it does not, or if the terminal controls another session; `ENOTTY` for anything else.
pub fn take_controlling_terminal() -> Result<(), Errno> {
    // SAFETY: TIOCSCTTY takes an integer (ioctl_tty(2)).
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(|_| ())
}

/// Sets the size of the terminal behind either end of it, in characters.
///
/// # Errors
/// `ENOTTY` for anything but a terminal.
pub fn set_window_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<(), Errno> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one `winsize`, which outlives the call (ioctl_tty(2)).
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result).map(|_| ())
}

/// Marks every descriptor from `first` on close-on-exec, in one call.
///
/// # Errors
/// `ENOSYS` before Linux 5.11.
pub fn close_on_exec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC no descriptor is closed here, only flagged (close_range(2)).
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    Errno::result(result).map(|_| ())
}

/// Sends `bytes` and one descriptor by `sendmsg`, with `secret` in the halves of the first and
/// third register that the kernel ignores (it takes an `int` and an `unsigned int` there), where a
/// seccomp filter can see it.
///
/// # Errors
/// As sendmsg(2).
pub fn send_with_secret(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fd: BorrowedFd<'_>,
    secret: u64,
) -> Result<(), Errno> {
    const UPPER: u64 = 0xffff_ffff_0000_0000;
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // One `cmsghdr` with one descriptor (cmsg(3)): length, level, type, data, padded to 8 bytes.
    let mut control = Vec::with_capacity(24);
    control.extend(20usize.to_ne_bytes());
    control.extend(libc::SOL_SOCKET.to_ne_bytes());
    control.extend(libc::SCM_RIGHTS.to_ne_bytes());
    control.extend(fd.as_raw_fd().to_ne_bytes());
    control.extend([0u8; 4]);
    // SAFETY: an all-zero `msghdr` is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = std::ptr::from_mut(&mut piece);
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len();
    let number = u64::from(socket.as_raw_fd().unsigned_abs()) | (secret & UPPER);
    let flags = u64::from(libc::MSG_NOSIGNAL.unsigned_abs()) | (secret << 32);
    // SAFETY: sendmsg only reads `message` and what it points to, all of which outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_sendmsg, number, std::ptr::from_ref(&message), flags) };
    Errno::result(result).map(|_| ())
}

/// All signals back to their default action, none blocked: what a program expects at its start.
///
/// # Errors
/// As sigprocmask(2).
pub fn reset_signals() -> Result<(), Errno> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: the default action runs no code of ours. KILL and STOP cannot be set, and say so.
        let _unsettable = unsafe { sigaction(signal, &default) };
    }
    SigSet::empty().thread_set_mask()
}

/// Makes [`interrupt_thread`] end a blocking call with `EINTR` instead of the process.
///
/// # Errors
/// As sigaction(2).
pub fn watch_interrupts() -> Result<(), Errno> {
    extern "C" fn nothing(_: libc::c_int) {}
    // No SA_RESTART: the interrupted call is to return.
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, which is async-signal-safe.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.map(|_| ())
}

/// Interrupts a blocking call of thread `tid` of this process.
///
/// # Errors
/// `ESRCH` if it has ended.
pub fn interrupt_thread(tid: i32) -> Result<(), Errno> {
    let group = Pid::this().as_raw();
    // SAFETY: tgkill takes three integers; the group is this process, so no other can be hit.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, group, tid, libc::SIGUSR1) };
    Errno::result(result).map(|_| ())
}

/// Sends a signal to the process behind `pidfd`, with the `siginfo_t` the sender chose, if any.
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn signal_process(
    pidfd: BorrowedFd<'_>,
    signal: i32,
    info: Option<&[u8]>,
) -> Result<(), Errno> {
    let info = info.filter(|i| i.len() >= size_of::<libc::siginfo_t>());
    let info = info.map_or(std::ptr::null(), <[u8]>::as_ptr);
    // SAFETY: `info` is null or points to a whole `siginfo_t` that outlives the call; the kernel
    // copies it as bytes.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    Errno::result(result).map(|_| ())
}

/// Sends a signal to thread `tid` of process `tgid`.
///
/// # Errors
/// `ESRCH` if the process has no such thread.
pub fn signal_thread(tgid: i32, tid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: tgkill takes three integers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, signal) }).map(|_| ())
}

/// The calling thread's id.
#[must_use]
pub fn thread_id() -> i32 {
    nix::unistd::gettid().as_raw()
}

/// Gives the calling thread a working directory and umask of its own.
///
/// # Errors
/// As unshare(2).
pub fn unshare_file_attributes() -> Result<(), Errno> {
    // SAFETY: CLONE_FS only un-shares cwd, root and umask of the calling thread.
    Errno::result(unsafe { libc::unshare(libc::CLONE_FS) }).map(|_| ())
}

/// Random bytes from the kernel, 256 at most.
///
/// # Errors
/// As getrandom(2).
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Errno> {
    const { assert!(N <= 256, "more may come in pieces") };
    let mut bytes = [0u8; N];
    // SAFETY: getrandom writes at most `len` bytes to the exclusively borrowed buffer. Up to 256
    // bytes always arrive in one piece.
    let result = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    Errno::result(result)?;
    Ok(bytes)
}
