//! Ports that sockets of a run share, with each other and with nobody else.
//!
//! A port can be shared: TCP by those that ask for it (`SO_REUSEPORT` in socket(7)), UDP by those that
//! merely ask for reuse. Who comes to it then gets connections and datagrams that were meant for who
//! was there first, and a socket that is tied to a device gets all of them (`compute_score` in
//! net/ipv4/udp.c and inet_hashtables.c).
//!
//! So what a program asks for is set here, and a socket is bound without it first: the kernel itself
//! then says whether the port is taken. Only a port that none but the run's own sockets serve is bound
//! with it. A datagram socket does not have it before that at all: the kernel gives a port to one that
//! sends, `write` included, and its choice may be one that somebody else would share.

use super::network::take_port_off;
use super::ports_of_others::is_of_others;
use crate::decide::Domain;
use crate::filter::Sharing;
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::stat::fstat;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Sockets of a run that are remembered: more than servers start workers.
const MOST: usize = 4096;
/// Ports that are tried for who leaves the choice to the kernel: somebody else may be quicker.
const TRIES: usize = 16;
/// Where an address has its port, of either family.
const PORT: std::ops::Range<usize> = 2..4;

/// The sockets of a run that may share their ports.
#[derive(Debug, Default)]
pub(super) struct SharedPorts(Mutex<Asked>);

/// What they were asked to share, by inode.
#[derive(Debug, Default)]
struct Asked(VecDeque<(u64, Shares)>);

/// What a socket shares, or is to share once it has a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shares {
    address: bool,
    port: bool,
}

impl SharedPorts {
    /// Sets the option, or takes note of it.
    pub(super) fn set(
        &self,
        socket: &OwnedFd,
        domain: Domain,
        what: Sharing,
        on: bool,
    ) -> Result<(), Errno> {
        // Not while a socket is being bound.
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if domain != Domain::Inet {
            return set(socket, what, on);
        }
        if !is_datagram(socket)? || !on {
            set(socket, what, on)?;
        }
        asked.note(inode(socket)?, what, on);
        Ok(())
    }

    /// Binds a socket to `at`, which a program gave as `address`, unless somebody outside of the run
    /// serves that: `EADDRINUSE`, as for who does not share.
    pub(super) fn bind(
        &self,
        socket: &OwnedFd,
        at: SocketAddr,
        address: &[u8],
    ) -> Result<(), Errno> {
        // One after the other, and none whose options change meanwhile.
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shares = asked.by(inode(socket)?);
        let place = |at, address: &[u8]| place(socket, shares, (at, address), |i| asked.knows(i));
        // The kernel's choice for who shares nothing is nobody's, and so it is for a TCP socket.
        if at.port() != 0 || shares == Shares::default() || !is_datagram(socket)? {
            return place(at, address);
        }
        for _ in 0..TRIES {
            let (port, address) = free_port(at, address)?;
            match place(SocketAddr::new(at.ip(), port), &address) {
                Err(Errno::EADDRINUSE) => {}
                done => return done,
            }
        }
        Err(Errno::EADDRINUSE)
    }
}

impl Asked {
    fn note(&mut self, inode: u64, what: Sharing, on: bool) {
        let mut shares = self.by(inode);
        match what {
            Sharing::Address => shares.address = on,
            Sharing::Port => shares.port = on,
        }
        self.0.retain(|(known, _)| *known != inode);
        self.0.push_back((inode, shares));
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    fn by(&self, inode: u64) -> Shares {
        let of = |(known, shares): &(u64, Shares)| (*known == inode).then_some(*shares);
        self.0.iter().find_map(of).unwrap_or_default()
    }

    fn knows(&self, inode: u64) -> bool {
        self.0.iter().any(|(known, _)| *known == inode)
    }
}

impl Shares {
    /// Sets what lets a port that is served be shared. `SO_REUSEADDR` of TCP does not: it is for
    /// ports that nobody listens at, and is set when it is asked for.
    fn set(self, socket: &OwnedFd, is_datagram: bool, on: bool) -> Result<(), Errno> {
        if self.address && is_datagram {
            set(socket, Sharing::Address, on)?;
        }
        if self.port { set(socket, Sharing::Port, on) } else { Ok(()) }
    }
}

/// Binds a socket: without sharing, or with the run's own sockets (`known`).
fn place(
    socket: &OwnedFd,
    shares: Shares,
    (at, address): (SocketAddr, &[u8]),
    known: impl Fn(u64) -> bool,
) -> Result<(), Errno> {
    let datagram = is_datagram(socket)?;
    shares.set(socket, datagram, false)?;
    let alone = sys::bind(socket.as_fd(), address);
    let may_share = || is_of_others(socket, at, known).is_ok_and(|others| !others);
    if alone == Err(Errno::EADDRINUSE) && shares != Shares::default() && may_share() {
        return place_beside(socket, shares, datagram, address);
    }
    // A datagram socket without a port shares nothing.
    if alone.is_ok() || !datagram {
        shares.set(socket, datagram, true)?;
    }
    alone
}

fn place_beside(
    socket: &OwnedFd,
    shares: Shares,
    datagram: bool,
    address: &[u8],
) -> Result<(), Errno> {
    shares.set(socket, datagram, true)?;
    let beside = sys::bind(socket.as_fd(), address);
    if beside.is_err() && datagram {
        shares.set(socket, datagram, false)?;
        if beside == Err(Errno::EINVAL) {
            // A thread sent by it in between, so it has a port of the kernel's choice.
            take_port_off(socket)?;
        }
    }
    beside
}

/// A port that nobody has at the address of `at`, and `address` with it.
fn free_port(at: SocketAddr, address: &[u8]) -> Result<(u16, Vec<u8>), Errno> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let other = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    if at.is_ipv6() {
        setsockopt(&other, sockopt::Ipv6V6Only, &false)?;
    }
    sys::bind(other.as_fd(), address)?;
    let chosen = UdpSocket::from(other).local_addr().map_err(|_| Errno::EADDRINUSE)?.port();
    let mut address = address.to_vec();
    address.get_mut(PORT).ok_or(Errno::EINVAL)?.copy_from_slice(&chosen.to_be_bytes());
    Ok((chosen, address))
}

fn set(socket: &OwnedFd, what: Sharing, on: bool) -> Result<(), Errno> {
    match what {
        Sharing::Address => setsockopt(socket, sockopt::ReuseAddr, &on),
        Sharing::Port => setsockopt(socket, sockopt::ReusePort, &on),
    }
}

fn is_datagram(socket: &OwnedFd) -> Result<bool, Errno> {
    Ok(getsockopt(socket, sockopt::SockType)? == SockType::Datagram)
}

fn inode(socket: &OwnedFd) -> Result<u64, Errno> {
    Ok(fstat(socket)?.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ANY: [u8; 16] = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

    fn datagram() -> OwnedFd {
        socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap()
    }

    fn port(socket: &OwnedFd) -> u16 {
        UdpSocket::from(socket.try_clone().unwrap()).local_addr().unwrap().port()
    }

    fn at(port: u16) -> (SocketAddr, Vec<u8>) {
        let mut address = ANY.to_vec();
        address[PORT].copy_from_slice(&port.to_be_bytes());
        (SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), address)
    }

    #[test]
    fn a_datagram_socket_shares_once_it_has_a_port_and_with_its_own_run() {
        let ports = SharedPorts::default();
        let [first, second, alone] = [(); 3].map(|()| datagram());
        for socket in [&first, &second] {
            ports.set(socket, Domain::Inet, Sharing::Address, true).unwrap();
            assert_eq!(getsockopt(socket, sockopt::ReuseAddr), Ok(false));
        }
        let (any, address) = at(0);
        ports.bind(&first, any, &address).unwrap();
        assert_eq!(getsockopt(&first, sockopt::ReuseAddr), Ok(true));
        let (same, address) = at(port(&first));
        assert_ne!(same.port(), 0);
        assert_eq!(ports.bind(&alone, same, &address), Err(Errno::EADDRINUSE));
        ports.bind(&second, same, &address).unwrap();
    }

    #[test]
    fn nothing_is_shared_with_who_is_not_known() {
        let others = datagram();
        setsockopt(&others, sockopt::ReuseAddr, &true).unwrap();
        sys::bind(others.as_fd(), &ANY).unwrap();
        let (same, address) = at(port(&others));
        let ports = SharedPorts::default();
        let socket = datagram();
        ports.set(&socket, Domain::Inet, Sharing::Address, true).unwrap();
        assert_eq!(ports.bind(&socket, same, &address), Err(Errno::EADDRINUSE));
        assert_eq!(getsockopt(&socket, sockopt::ReuseAddr), Ok(false));
        let (any, address) = at(0);
        ports.bind(&socket, any, &address).unwrap();
        assert_ne!(port(&socket), same.port());
    }

    #[test]
    fn a_port_of_the_kernels_choice_is_taken_off_again() {
        let socket = datagram();
        assert!(sys::send_message(socket.as_fd(), &[], b"x", &[], 0).is_err());
        assert_ne!(port(&socket), 0);
        take_port_off(&socket).unwrap();
        assert_eq!(port(&socket), 0);
    }
}
