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

/// How much recvmsg(2) wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Of data.
    pub data: usize,
    /// Of control messages.
    pub control: usize,
    /// Whether more control messages came, or more descriptors in one, than could be taken.
    pub truncated: bool,
}

/// recvmsg(2) with one piece of data. Descriptors in `control` are open in this process then, and
/// close-on-exec, however much was truncated.
///
/// # Errors
/// As recvmsg(2).
pub fn receive_message(
    socket: BorrowedFd<'_>,
    data: &mut [u8],
    control: &mut [u8],
) -> Result<Received, Errno> {
    let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: an all-zero `msghdr` is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = std::ptr::from_mut(&mut piece);
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len();
    let (number, flags) = (socket.as_raw_fd(), libc::MSG_CMSG_CLOEXEC);
    // SAFETY: recvmsg writes at most what the lengths say to `data` and `control`, which are
    // exclusively borrowed and outlive the call, as bytes that need no alignment.
    let result = unsafe { libc::recvmsg(number, std::ptr::from_mut(&mut message), flags) };
    let data = usize::try_from(Errno::result(result)?).unwrap_or(0);
    let truncated = message.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(Received { data, control: message.msg_controllen, truncated })
}

/// Has a socket take only what arrives by the device of this number, for good: a filter that is
/// locked (`SO_ATTACH_FILTER`, `SO_LOCK_FILTER`, socket(7)).
///
/// # Errors
/// `EPERM` if it has a locked one already.
pub fn take_only_from(socket: BorrowedFd<'_>, device: u32) -> Result<(), Errno> {
    /// Codes of linux/filter.h, and where it has the number of the device (`SKF_AD_OFF` and
    /// `SKF_AD_IFINDEX`).
    const LOAD: u16 = 0x20;
    const SKIP_UNLESS_EQUAL: u16 = 0x15;
    const KEEP: u16 = 0x06;
    const DEVICE: u32 = 0xffff_f008;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut steps = [
        step(LOAD, 0, DEVICE),
        step(SKIP_UNLESS_EQUAL, 1, device),
        step(KEEP, 0, u32::MAX),
        step(KEEP, 0, 0),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // The kernel copies the program and the four instructions it points to, which outlive the call.
    set_option(socket, libc::SO_ATTACH_FILTER, &program)?;
    set_option(socket, libc::SO_LOCK_FILTER, &1_i32)
}

/// setsockopt(2) at `SOL_SOCKET`, with the value as the kernel has it.
fn set_option<T>(socket: BorrowedFd<'_>, name: libc::c_int, value: &T) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            std::ptr::from_ref(value).cast(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_socket_takes_only_what_its_device_brings() {
        let (here, elsewhere) = (1, 999_999);
        for (device, arrives) in [(here, true), (elsewhere, false)] {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            take_only_from(socket.as_fd(), device).unwrap();
            assert_eq!(take_only_from(socket.as_fd(), here), Err(Errno::EPERM), "locked");
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            // On the loopback device it has arrived when the call returns.
            sender.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            assert_eq!(socket.recv(&mut [0; 9]).is_ok(), arrives, "device {device}");
        }
    }
}
