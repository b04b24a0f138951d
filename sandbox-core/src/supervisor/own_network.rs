//! The network namespace of a run, where it has one: a loopback device and nothing else.
//!
//! What the run asks of its proxy is accepted in here, by its supervisor, and handed to the server as
//! it is everywhere; so the run reaches the proxy, and neither has a way to the other's network.

use super::isolate::FirstProcess;
use super::{SetupFailed, Stage};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::AsRawFd;

/// The loopback device is the first one of every network namespace.
const LOOPBACK: i32 = 1;

/// Leaves the machine's network for a new one. Takes the rights that the first process of new
/// namespaces has, and must come before they are given up.
///
/// # Errors
/// What could not be made; the caller starts nothing.
pub(super) fn enter(_: FirstProcess) -> Result<(), SetupFailed> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(failed("a network of its own"))?;
    loopback_up().map_err(failed("its loopback device"))
}

fn failed(what: &'static str) -> impl Fn(Errno) -> SetupFailed {
    move |errno| SetupFailed::new(Stage::Namespaces, errno, what)
}

/// Asks rtnetlink(7) to set the flag `IFF_UP`, and reads its answer. The kernel then gives the device
/// its addresses.
fn loopback_up() -> Result<(), Errno> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let asked = set_up(LOOPBACK);
    sendto(netlink.as_raw_fd(), &asked, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(answer.get(..length).unwrap_or_default())
}

/// `struct nlmsghdr` and `struct ifinfomsg` (netlink(7), rtnetlink(7)).
fn set_up(device: i32) -> Vec<u8> {
    const LENGTH: u32 = 32;
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK).unwrap_or(0);
    let up = u32::try_from(libc::IFF_UP).unwrap_or(0).to_ne_bytes();
    let mut request = LENGTH.to_ne_bytes().to_vec();
    request.extend(libc::RTM_NEWLINK.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    // Sequence, port; family and kind of device.
    request.extend([0; 8 + 4]);
    request.extend(device.to_ne_bytes());
    // Its flags, and which of those are meant.
    request.extend([up, up].concat());
    request
}

/// What the answer says: an error of 0 is none.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    const KIND: usize = 4;
    const ERROR: usize = 16;
    let kind = answer.get(KIND..KIND + 2).and_then(|b| <[u8; 2]>::try_from(b).ok());
    let error = answer.get(ERROR..ERROR + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
    let is_error = kind.map(u16::from_ne_bytes).map(i32::from) == Some(libc::NLMSG_ERROR);
    match error.map(i32::from_ne_bytes) {
        Some(0) if is_error => Ok(()),
        Some(errno) if is_error => Err(Errno::from_raw(errno.saturating_neg())),
        _ => Err(Errno::EPROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let answer = |kind: u16, errno: i32| {
            let mut bytes = vec![0; 36];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&errno.to_ne_bytes());
            acknowledged(&bytes)
        };
        assert_eq!(answer(2, 0), Ok(()));
        assert_eq!(answer(2, -libc::EPERM), Err(Errno::EPERM));
        assert_eq!(answer(16, 0), Err(Errno::EPROTO));
        assert_eq!(acknowledged(&[]), Err(Errno::EPROTO));
    }

    #[test]
    fn a_request_has_the_length_it_says() {
        let request = set_up(1);
        assert_eq!(request[..4], u32::try_from(request.len()).unwrap().to_ne_bytes());
    }
}
