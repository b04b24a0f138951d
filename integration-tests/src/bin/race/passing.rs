//! A number behind which a sequenced-packet and a datagram socket change places, by a thread that is gone
//! again when the other one sends, or is not quite gone.
//!
//! What a process with one thread sends on a connected socket of packets is left to the kernel,
//! which ignores the address there and does not on a datagram socket. So this is a race for the moment at which the
//! process is said to have one thread.

use crate::flip::Shared;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

const PACKETS: RawFd = 200;
const DATAGRAM: RawFd = 201;
const NUMBER: RawFd = 202;

/// Both hands of the race.
pub struct Passing {
    address: &'static Shared,
    bad: Vec<u8>,
    good: Vec<u8>,
    /// The other end of the packets.
    peer: OwnedFd,
}

impl Passing {
    pub fn new(bad: Vec<u8>, good: Vec<u8>) -> io::Result<Self> {
        let (ours, peer) = pair()?;
        let on: libc::c_int = 1;
        // SAFETY: the value is a live `int`.
        let asked = unsafe {
            let (value, size) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
            libc::setsockopt(peer.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, value, size)
        };
        if asked != 0 {
            return Err(io::Error::last_os_error());
        }
        for (socket, number) in
            [(ours.into_raw_fd(), PACKETS), (UnixDatagram::unbound()?.into_raw_fd(), DATAGRAM)]
        {
            // SAFETY: high numbers that nothing in this process uses.
            unsafe { libc::dup2(socket, number) };
        }
        put(PACKETS);
        Ok(Self { address: Shared::new(&bad)?, bad, good, peer })
    }

    /// One message, while a thread comes and goes. Whether this process itself sent it to the peer;
    /// who got it otherwise, only the listeners know.
    pub fn send(&self, number: u64) -> bool {
        std::thread::scope(|scope| {
            let hand = scope.spawn(|| {
                self.address.write(&self.bad, &self.good);
                put(if number & 1 == 0 { DATAGRAM } else { PACKETS });
                self.address.write(&self.good, &self.bad);
                put(if number & 2 == 0 { PACKETS } else { DATAGRAM });
            });
            // From well before its end to well after it.
            for _ in 0..number % 64 {
                std::hint::spin_loop();
            }
            if number.is_multiple_of(3) {
                let _ended = hand.join();
            }
            message(self.address);
        });
        let mut own = false;
        while let Some(sender) = self.next_sender() {
            own |= sender == std::process::id().cast_signed();
        }
        own
    }

    /// Who sent the next byte that arrived.
    fn next_sender(&self) -> Option<libc::pid_t> {
        let mut byte = 0_u8;
        let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = [0_u64; 8];
        // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        // SAFETY: the header points at live buffers of the sizes it tells.
        if unsafe { libc::recvmsg(self.peer.as_raw_fd(), &raw mut header, 0) } != 1 {
            return None;
        }
        // SAFETY: the kernel has filled the header in.
        let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header).as_ref() }?;
        if first.cmsg_type != libc::SCM_CREDENTIALS {
            return None;
        }
        // SAFETY: a message of this type holds a `ucred`.
        Some(unsafe { libc::CMSG_DATA(first).cast::<libc::ucred>().read_unaligned().pid })
    }
}

/// Two ends; neither waits.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut ends, kind) = ([-1; 2], libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK);
    // SAFETY: there is room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: they are new and nobody else's.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

fn put(socket: RawFd) {
    // SAFETY: as in `new`.
    unsafe { libc::dup2(socket, NUMBER) };
}

/// Sends one byte on whatever is behind the number now.
fn message(address: &Shared) {
    let name = address.pointer().cast_mut();
    let mut part = libc::iovec { iov_base: name.cast(), iov_len: 1 };
    // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.cast();
    header.msg_namelen = address.len() as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    // SAFETY: the header points at live buffers; that somebody writes to them meanwhile is what this
    // program is for.
    unsafe { libc::sendmsg(NUMBER, &raw const header, libc::MSG_DONTWAIT) };
}
