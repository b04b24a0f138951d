//! Message headers and control messages. Oracle of the latter: the kernel, asked to send them.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nono_sandbox::decide::{Header, controls, pieces};
use nono_sandbox::sys;
use std::os::fd::{AsFd, AsRawFd};

/// Less than the kernel takes at once on any system.
const MOST: usize = 4096;

/// Headers are read where the kernel reads them, and control messages are those it sees.
pub fn message(bytes: &[u8]) {
    if let Some(header) = bytes.first_chunk::<{ Header::SIZE }>() {
        let parsed = Header::parse(header);
        let words = [parsed.name, parsed.pieces, parsed.piece_count, parsed.control];
        for (word, at) in words.into_iter().zip([0, 16, 24, 32]) {
            assert_eq!(header.get(at..at + 8), Some(&word.to_ne_bytes()[..]));
        }
        assert_eq!(header.get(8..12), Some(&parsed.name_length.to_ne_bytes()[..]));
        assert_eq!(header.get(40..48), Some(&parsed.control_length.to_ne_bytes()[..]));
    }
    let listed = pieces(bytes);
    assert_eq!(listed.len(), bytes.len() / 16);
    for ((base, length), piece) in listed.into_iter().zip(bytes.chunks_exact(16)) {
        assert_eq!([base.to_ne_bytes(), length.to_ne_bytes()].concat(), piece);
    }
    if bytes.len() <= MOST {
        control_messages(bytes);
    }
}

fn control_messages(bytes: &[u8]) {
    let found = controls(bytes);
    let mut end = 0;
    for control in found.iter().flatten() {
        let head = control.data.start - 16;
        assert!(head >= end && head.is_multiple_of(8) && control.data.end <= bytes.len());
        assert_eq!(bytes.get(head + 8..head + 12), Some(&control.level.to_ne_bytes()[..]));
        assert_eq!(bytes.get(head + 12..head + 16), Some(&control.kind.to_ne_bytes()[..]));
        end = control.data.end;
    }
    if bytes.is_empty() || has_own_level(bytes) {
        return;
    }
    let (from, to) =
        socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)
            .expect("sockets");
    let sent = sys::send_message(from.as_fd(), &[], b"x", bytes, libc::MSG_DONTWAIT);
    assert_eq!(sent, if found.is_some() { Ok(1) } else { Err(Errno::EINVAL) }, "{bytes:?}");
    let mut byte = [0];
    let received = recv(to.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT);
    assert_eq!(received.is_ok(), found.is_some());
}

/// Whether `SOL_SOCKET` stands anywhere a level could: such a message is judged by what is in it.
fn has_own_level(bytes: &[u8]) -> bool {
    let level = libc::SOL_SOCKET.to_ne_bytes();
    bytes.chunks(8).any(|word| word.starts_with(&level))
}
