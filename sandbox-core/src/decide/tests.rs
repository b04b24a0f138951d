use super::*;
use crate::policy::{
    Denied, Environment, FsPolicy, Isolation, Limits, Mediation, NetworkMode, NetworkPolicy,
    Observe, Origins, Reach, UnixGrant, UnixPolicy,
};
use crate::rate::Quota;
use std::num::NonZeroU32;

fn path(s: &str) -> AbsPath {
    AbsPath::new(s).unwrap()
}

fn source(rule: &str) -> Source {
    Source { profile: "test".into(), rule: rule.into(), line: None }
}

fn policy() -> Policy {
    let grant = |p: &str, reach, bind| UnixGrant { path: path(p), reach, bind, source: source(p) };
    Policy {
        name: "test".into(),
        fs: FsPolicy {
            denied: vec![Denied {
                path: path("/home/u/.gnupg"),
                source: Some(source("filesystem.deny: ~/.gnupg")),
            }],
            tmpdir: path("/tmp/x"),
            ..FsPolicy::of_rules(vec![])
        },
        unix: UnixPolicy {
            mediation: Mediation::Pathname,
            grants: vec![
                grant("/run/db.sock", Reach::Exact, false),
                grant("/ws", Reach::Subtree, true),
            ],
            datagrams: false,
        },
        network: NetworkPolicy::of_mode(NetworkMode::Open),
        environment: Environment::default(),
        rate: Quota { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        observe: Observe::All,
        limits: Limits::default(),
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

#[test]
fn what_is_not_judged_is_no_socket_to_connect() {
    let judged = (0..64).filter(|family| Domain::of(*family).is_some());
    let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    assert_eq!(judged.collect::<Vec<_>>(), known);
    assert_eq!(Domain::of(libc::AF_NETLINK), Some(Domain::Netlink));
}

#[test]
fn the_socket_decides_not_the_address() {
    let unix = Address::UnixPath(b"/run/x".to_vec());
    let inet = Address::Inet("127.0.0.1:80".parse().unwrap());
    // The claimed family of an address never moves a UNIX socket out of mediation, nor a TCP
    // socket into it.
    assert_eq!(socket_call(Domain::Unix, &unix, IpcScope::Kernel), SocketCall::Path(b"/run/x"));
    assert_eq!(socket_call(Domain::Inet, &unix, IpcScope::Kernel), SocketCall::AsCopied);
    assert_eq!(socket_call(Domain::Unix, &inet, IpcScope::Kernel), SocketCall::AsCopied);
    assert_eq!(socket_call(Domain::Inet, &inet, IpcScope::Kernel), SocketCall::AsCopied);
}

#[test]
fn abstract_names_need_the_kernels_scope() {
    let name = Address::UnixAbstract(b"n".to_vec());
    assert_eq!(socket_call(Domain::Unix, &name, IpcScope::Kernel), SocketCall::AsCopied);
    assert_eq!(socket_call(Domain::Unix, &name, IpcScope::Mediated), SocketCall::OwnName(b"n"));
}

#[test]
fn paths_against_grants() {
    use Operation::{Bind, Connect};
    let policy = policy();
    let table: &[(Operation, &str, PathVerdict<'_>)] = &[
        (Connect, "/run/db.sock", PathVerdict::Granted(&policy.unix.grants[0])),
        (
            Bind,
            "/run/db.sock",
            PathVerdict::Denied(Reason::InsufficientAccess, Some(&policy.unix.grants[0].source)),
        ),
        (Connect, "/ws/a/b.sock", PathVerdict::Granted(&policy.unix.grants[1])),
        (Bind, "/ws/a/b.sock", PathVerdict::Granted(&policy.unix.grants[1])),
        (Connect, "/ws", PathVerdict::Denied(Reason::NoGrant, None)),
        (Connect, "/run/docker.sock", PathVerdict::Denied(Reason::NoGrant, None)),
        (
            Connect,
            "/home/u/.gnupg/S",
            PathVerdict::Denied(Reason::Denied, policy.fs.denied[0].source.as_ref()),
        ),
    ];
    for (operation, target, expected) in table {
        assert_eq!(unix_path(&policy, *operation, &path(target)), *expected, "{target}");
    }
}

#[test]
fn charging_follows_the_socket() {
    let unix = Address::UnixPath(b"/x".to_vec());
    let inet = Address::Inet("127.0.0.1:80".parse().unwrap());
    assert_eq!(charged_family(Some(Domain::Inet), Some(&unix)), Family::Inet);
    assert_eq!(charged_family(Some(Domain::Unix), Some(&inet)), Family::Unix);
    assert_eq!(charged_family(None, Some(&inet)), Family::Inet);
    assert_eq!(charged_family(Some(Domain::Inet), None), Family::Unreadable);
}
