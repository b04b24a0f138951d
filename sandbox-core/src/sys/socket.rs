//! Socket calls with addresses as raw bytes, exactly as a program passed them.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

fn length(address: &[u8]) -> Result<libc::socklen_t, Errno> {
    libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)
}

/// connect(2).
///
/// # Errors
/// As connect(2).
pub fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let length = length(address)?;
    // SAFETY: the kernel copies `length` bytes from `address`, which outlives the call; it parses
    // them itself and needs no alignment.
    let result = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    Errno::result(result).map(|_| ())
}

/// bind(2).
///
/// # Errors
/// As bind(2).
pub fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let length = length(address)?;
    // SAFETY: as for `connect`.
    let result = unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    Errno::result(result).map(|_| ())
}

/// sendmsg(2) with one piece of data; an empty `name` or `control` means none.
///
/// # Errors
/// As sendmsg(2).
pub fn send_message(
    socket: BorrowedFd<'_>,
    name: &[u8],
    data: &[u8],
    control: &[u8],
    flags: i32,
) -> Result<usize, Errno> {
    let pointer = |bytes: &[u8]| match bytes {
        [] => std::ptr::null_mut(),
        bytes => bytes.as_ptr().cast_mut().cast::<libc::c_void>(),
    };
    let mut piece = libc::iovec { iov_base: pointer(data), iov_len: data.len() };
    // SAFETY: an all-zero `msghdr` is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = pointer(name);
    message.msg_namelen = length(name)?;
    message.msg_iov = std::ptr::from_mut(&mut piece);
    message.msg_iovlen = 1;
    message.msg_control = pointer(control);
    message.msg_controllen = control.len();
    // SAFETY: sendmsg only reads what `message` points to; all of it outlives the call. It copies
    // names and control messages as bytes and needs no alignment.
    let result = unsafe { libc::sendmsg(socket.as_raw_fd(), std::ptr::from_ref(&message), flags) };
    Errno::result(result).map(|sent| usize::try_from(sent).unwrap_or(0))
}

/// Puts a filter on a socket that drops whatever arrives (`SO_ATTACH_FILTER`, socket(7)), in the
/// place of one it has.
///
/// # Errors
/// `EPERM` if its filter is locked.
pub fn drop_everything(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    /// `BPF_RET | BPF_K` (linux/filter.h): how many bytes to keep.
    const KEEP: u16 = 0x06;
    let mut keep_nothing = [libc::sock_filter { code: KEEP, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: keep_nothing.as_mut_ptr() };
    let length = libc::socklen_t::try_from(size_of_val(&program)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel copies a `sock_fprog` and the one instruction it points to, both of which
    // outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::from_ref(&program).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}

/// Takes the filter off a socket (`SO_DETACH_FILTER`).
///
/// # Errors
/// `ENOENT` if there is none, `EPERM` if it is locked.
pub fn drop_nothing(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let none: libc::c_int = 0;
    let length = length(&none.to_ne_bytes())?;
    // SAFETY: the kernel reads one int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            std::ptr::from_ref(&none).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}

/// The domain the socket was made with (`SO_DOMAIN`).
///
/// # Errors
/// `ENOTSOCK` if it is none.
pub fn socket_domain(socket: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut domain: libc::c_int = 0;
    let mut length = length(&domain.to_ne_bytes())?;
    // SAFETY: SO_DOMAIN writes one int; both pointers are exclusively borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            std::ptr::from_mut(&mut domain).cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    Errno::result(result).map(|_| domain)
}
