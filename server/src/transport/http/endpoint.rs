//! Where a listener is reached, for the policy to close.

use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, SocketAddr};

/// The addresses a listener is reached at: its own, or with the wildcard all of this machine's.
pub(super) fn addresses(listener: SocketAddr) -> Vec<SocketAddr> {
    let mut all = vec![listener];
    if !listener.ip().is_unspecified() {
        return all;
    }
    // Without a list the wildcard still stands for loopback.
    for interface in getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        all.extend(v4.or(v6).map(|ip| SocketAddr::new(ip, listener.port())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_every_address_of_the_machine() {
        let one: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(addresses(one), [one]);
        let all = addresses("0.0.0.0:80".parse().unwrap());
        assert!(all.contains(&one), "{all:?}");
    }
}
