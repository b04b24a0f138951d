//! Every `unsafe` block of the project. Functions here are safe to call, take borrowed
//! descriptors, return owned ones, and decide nothing.

#![expect(unsafe_code, reason = "this module is the boundary to the kernel")]

mod capabilities;
mod memory;
mod mount;
mod notice;
mod notify;
mod process;
mod seccomp;
mod socket;
mod xattr;

pub use capabilities::{drop_capabilities, drop_own_capabilities, has_capabilities};
pub use memory::{read_memory, write_memory};
pub use mount::{attach, make_read_only, second_mount};
pub use notice::{add_watch, lock_file};
pub use notify::{
    NotificationData, answer_with_descriptor, continue_call, finish_call, id_is_valid, receive,
    set_sync_wakeup,
};
pub use process::{
    ForkResult, close_on_exec_from, duplicate_from, exit_now, fork, interrupt_thread, open_pidfd,
    open_thread_pidfd, random_bytes, reset_signals, send_with_secret, set_window_size,
    signal_process, signal_thread, take_controlling_terminal, thread_id, try_to_make_device,
    unshare_file_attributes, watch_interrupts,
};
pub use seccomp::{install_filter, landlock_abi, notify_available};
pub use socket::{
    Received, bind, connect, receive_message, send_message, socket_domain, take_only_from,
};
pub use xattr::{remove_xattr, set_xattr};

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes ownership of a descriptor that `recvmsg` has just installed in this process.
#[must_use]
pub fn own_received(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel returned `fd` in an SCM_RIGHTS message to this process, so it is open and
    // nobody else in the process knows it yet.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Takes ownership of a descriptor that a raw system call has just returned.
fn own_returned(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the system call succeeded and returned `fd` as a new descriptor of this process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
