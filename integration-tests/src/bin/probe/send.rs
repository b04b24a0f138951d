//! Datagram sends with an address, in every form the kernel has.

use crate::number;
use crate::sys::{self, Outcome, unix_address};
use crate::unix::kind_number;
use nix::errno::Errno;
use std::os::fd::RawFd;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("sendto", &[kind, address]) => sender(kind).and_then(|fd| by_sendto(fd, address)),
        ("sendmsg", &[kind, address]) => sender(kind).and_then(|fd| by_sendmsg(fd, address)),
        ("sendmmsg", &[kind, address]) => sender(kind).and_then(|fd| by_sendmmsg(fd, address)),
        ("sendmsg-every-number", &[address]) => every_number(address),
        ("sendmmsg-two", &[one, other]) => two_at_once(one, other),
        ("pass-descriptor", &[kind]) => kind_number(kind).and_then(pass_descriptor),
        ("send-descriptor", &[address]) => send_descriptor(address),
        ("send-large", &[address, size]) => send_large(address, size),
        ("pair-sendto", &[address]) => one_of_pair().and_then(|fd| by_sendto(fd, address)),
        ("pair-sendmsg", &[address]) => one_of_pair().and_then(|fd| by_sendmsg(fd, address)),
        _ => return None,
    })
}

fn sender(kind: &str) -> Result<RawFd, Errno> {
    sys::socket(libc::AF_UNIX, kind_number(kind)?, 0)
}

fn one_of_pair() -> Result<RawFd, Errno> {
    sys::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM).map(|[a, _]| a)
}

fn by_sendto(fd: RawFd, address: &str) -> Outcome {
    sys::sendto(fd, b"knock", 0, &unix_address(address))?;
    Ok(String::new())
}

/// A message header that points at `name` and `part`.
fn header(name: &[u8], part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.as_ptr() as *mut libc::c_void;
    header.msg_namelen = name.len() as libc::socklen_t;
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header
}

fn by_sendmsg(fd: RawFd, address: &str) -> Outcome {
    let (name, data) = (unix_address(address), *b"knock");
    let mut part =
        libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() };
    let message = header(&name, &mut part);
    sys::call(libc::SYS_sendmsg, &[fd as usize, &raw const message as usize, 0])?;
    Ok(String::new())
}

fn by_sendmmsg(fd: RawFd, address: &str) -> Outcome {
    let (name, data) = (unix_address(address), *b"knock");
    let mut part =
        libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() };
    let mut message = libc::mmsghdr { msg_hdr: header(&name, &mut part), msg_len: 0 };
    sys::call(libc::SYS_sendmmsg, &[fd as usize, &raw mut message as usize, 1, 0])?;
    Ok(String::new())
}

/// Puts the socket under every low number in turn. Whatever descriptor number some exemption may
/// be about, this hits it.
fn every_number(address: &str) -> Outcome {
    let name = unix_address(address);
    let data = *b"knock";
    let mut part =
        libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() };
    let message = header(&name, &mut part);
    let fd = sender("dgram")?;
    for target in (3..256_usize).filter(|n| *n != fd as usize) {
        sys::call(libc::SYS_dup3, &[fd as usize, target, 0])?;
        for flags in [0, libc::MSG_NOSIGNAL as usize, libc::MSG_DONTWAIT as usize] {
            let upper = 0x1234_5678_usize << 32;
            for dressed in [[target, flags], [target | upper, flags | upper]] {
                let args = [dressed[0], &raw const message as usize, dressed[1]];
                match sys::call(libc::SYS_sendmsg, &args) {
                    Ok(_) => return Ok(format!("through number {target}")),
                    Err(Errno::EACCES) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        sys::close(target as RawFd);
    }
    Err(Errno::EACCES)
}

/// Two messages in one call, of three that lie there; says how many went out. The kernel takes the
/// lower half of the register for the count.
fn two_at_once(one: &str, other: &str) -> Outcome {
    let names = [unix_address(one), unix_address(other), unix_address(other)];
    let data = *b"knock";
    let mut parts = names
        .each_ref()
        .map(|_| libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() });
    let [first, second, third] = &mut parts;
    let mut messages = [
        libc::mmsghdr { msg_hdr: header(&names[0], first), msg_len: 0 },
        libc::mmsghdr { msg_hdr: header(&names[1], second), msg_len: 0 },
        libc::mmsghdr { msg_hdr: header(&names[2], third), msg_len: 0 },
    ];
    let fd = sender("dgram")? as usize;
    let count = 2 | 0x1234_5678_usize << 32;
    let sent = sys::call(libc::SYS_sendmmsg, &[fd, messages.as_mut_ptr() as usize, count, 0])?;
    Ok(format!("{sent} {} {}", messages[0].msg_len, messages[1].msg_len))
}

/// One descriptor as ancillary data.
fn control_with(fd: RawFd) -> [u64; 3] {
    // A `cmsghdr` (length, level, type) and one `int`, padded to eight bytes.
    let length = 16 + size_of::<RawFd>();
    let level_and_type =
        u64::from(libc::SOL_SOCKET as u32) | (u64::from(libc::SCM_RIGHTS as u32) << 32);
    [length as u64, level_and_type, u64::from(fd as u32)]
}

fn send_with_control(fd: RawFd, name: &[u8], passed: RawFd) -> Result<(), Errno> {
    let data = *b"knock";
    let mut part =
        libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() };
    let mut control = control_with(passed);
    let mut message = header(name, &mut part);
    if name.is_empty() {
        message.msg_name = std::ptr::null_mut();
    }
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    sys::call(libc::SYS_sendmsg, &[fd as usize, &raw const message as usize, 0]).map(drop)
}

/// Passes the write end of a pipe across a pair and writes through what arrives.
fn pass_descriptor(kind: i32) -> Outcome {
    let [from, to] = sys::socketpair(libc::AF_UNIX, kind)?;
    let (reader, writer) = nix::unistd::pipe()?;
    use std::os::fd::AsRawFd;
    send_with_control(from, &[], writer.as_raw_fd())?;
    let mut data = [0_u8; 16];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let mut control = [0_u64; 4];
    let mut message = header(&[], &mut part);
    message.msg_name = std::ptr::null_mut();
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    sys::call(libc::SYS_recvmsg, &[to as usize, &raw mut message as usize, 0])?;
    let arrived = RawFd::try_from(control[2] & 0xffff_ffff).map_err(|_| Errno::EBADF)?;
    drop(writer);
    sys::call(libc::SYS_write, &[arrived as usize, b"passed".as_ptr() as usize, 6])?;
    sys::read_text(reader.as_raw_fd())
}

/// A datagram with a descriptor to a named socket.
fn send_descriptor(address: &str) -> Outcome {
    send_with_control(sender("dgram")?, &unix_address(address), 1)?;
    Ok(String::new())
}

fn send_large(address: &str, size: &str) -> Outcome {
    let data = vec![7_u8; number(size)?];
    let sent = sys::sendto(sender("dgram")?, &data, 0, &unix_address(address))?;
    Ok(sent.to_string())
}
