//! The compiled program, run over tables of calls.

use super::interpret::{Call, run, walk};
use super::*;
use crate::policy::{
    Environment, FsPolicy, Isolation, Limits, Mediation, NetworkMode, NetworkPolicy, Observe,
    Origins, Policy, UnixPolicy,
};
use crate::rate::Quota;
use seccompiler::sock_filter;
use std::num::NonZeroU32;

const NATIVE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
const I386: u32 = 0x4000_0003;
const HANDOVER: Handover = Handover { fd: 5, secret: 0x1122_3344_5566_7788 };

fn policy(mediation: Mediation, datagrams: bool, observe: Observe) -> Policy {
    let one = NonZeroU32::MIN;
    Policy {
        name: "test".into(),
        fs: FsPolicy::of_rules(vec![]),
        unix: UnixPolicy { mediation, grants: vec![], datagrams },
        network: NetworkPolicy::of_mode(NetworkMode::Open),
        environment: Environment::default(),
        rate: Quota { per_second: one, burst: one },
        observe,
        limits: Limits::default(),
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

/// What the program gets: as [`answer`], with what the supervisor says to a call that is refused
/// by way of it.
fn verdict(program: &[sock_filter], call: Call) -> u32 {
    match (answer(program, call), trapped(call.nr.into(), IpcScope::Kernel)) {
        (NOTIFY, Some(Trapped::Refused(..))) => errno(refusal_errno(call.nr.into(), &call.args)),
        (other, _) => other,
    }
}

/// What the kernel would do.
fn answer(program: &[sock_filter], call: Call) -> u32 {
    run(program, call).unwrap()
}

fn call(nr: i64, args: &[u64]) -> Call {
    let mut all = [0u64; 6];
    all[..args.len()].copy_from_slice(args);
    Call { nr: u32::try_from(nr).unwrap(), arch: NATIVE, args: all }
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()
}

#[test]
fn bootstrap_calls_are_never_trapped() {
    // A notification of one of these before the supervisor listens would be a deadlock.
    let calls = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_futex,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_exit_group,
        libc::SYS_rt_sigprocmask,
    ];
    for observe in [Observe::All, Observe::Writes, Observe::Off] {
        for datagrams in [false, true] {
            let policy = policy(Mediation::Pathname, datagrams, observe);
            let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
            for nr in calls {
                assert_eq!(verdict(&program, call(nr, &[])), ALLOW, "{nr}");
            }
        }
    }
}

#[test]
fn the_handover_passes_with_its_secret_and_only_with_it() {
    let flags = u64::from(libc::MSG_NOSIGNAL.unsigned_abs());
    let (fd_word, flags_word) = (0x1122_3344_0000_0005, (0x5566_7788 << 32) | flags);
    for datagrams in [false, true] {
        let program = compile(
            &policy(Mediation::Pathname, datagrams, Observe::Off),
            HANDOVER,
            IpcScope::Kernel,
        )
        .unwrap();
        let sendmsg = |a: u64, c: u64| verdict(&program, call(libc::SYS_sendmsg, &[a, 1, c]));
        let trapped = if datagrams { NOTIFY } else { ALLOW };
        assert_eq!(sendmsg(fd_word, flags_word), ALLOW);
        // The plain number, as after `dup2` onto it.
        assert_eq!(sendmsg(5, flags), trapped);
        assert_eq!(sendmsg(fd_word, flags), trapped);
        assert_eq!(sendmsg(5, flags_word), trapped);
        // Another descriptor with the secret, another flag with it, one wrong bit of it.
        assert_eq!(sendmsg(fd_word + 1, flags_word), trapped);
        assert_eq!(sendmsg(fd_word, flags_word | 1), trapped);
        for bit in 32..64 {
            assert_eq!(sendmsg(fd_word ^ (1 << bit), flags_word), trapped);
            assert_eq!(sendmsg(fd_word, flags_word ^ (1 << bit)), trapped);
        }
    }
}

#[test]
fn foreign_architectures_and_x32() {
    let program =
        compile(&policy(Mediation::Pathname, true, Observe::All), HANDOVER, IpcScope::Kernel)
            .unwrap();
    for nr in 0..512u32 {
        let i386 = Call { nr, arch: I386, args: [0; 6] };
        assert_eq!(verdict(&program, i386), libc::SECCOMP_RET_KILL_PROCESS, "i386 {nr}");
        if cfg!(target_arch = "x86_64") {
            let x32 = Call { nr: nr | 0x4000_0000, arch: NATIVE, args: [0; 6] };
            assert_eq!(verdict(&program, x32), errno(libc::ENOSYS), "x32 {nr}");
        }
    }
}

#[test]
fn socket_gates() {
    use libc::*;
    let table: &[(i32, i32, i32, bool, u32)] = &[
        (AF_UNIX, SOCK_STREAM, 0, false, ALLOW),
        (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, false, ALLOW),
        (AF_UNIX, SOCK_SEQPACKET, 0, false, ALLOW),
        (AF_UNIX, SOCK_DGRAM, 0, false, errno(EACCES)),
        (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, false, errno(EACCES)),
        (AF_UNIX, SOCK_RAW, 0, false, errno(EACCES)),
        (AF_UNIX, 0, 0, false, errno(EACCES)),
        (AF_UNIX, 15, 0, false, errno(EACCES)),
        (AF_UNIX, SOCK_DGRAM, 0, true, ALLOW),
        (AF_INET, SOCK_STREAM, 0, false, ALLOW),
        (AF_INET6, SOCK_STREAM, IPPROTO_TCP, false, ALLOW),
        (AF_INET, SOCK_STREAM, 262, false, errno(EPROTONOSUPPORT)),
        (AF_INET6, SOCK_STREAM, IPPROTO_SCTP, false, errno(EPROTONOSUPPORT)),
        (AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, false, errno(EPROTONOSUPPORT)),
        (AF_INET, SOCK_DGRAM, 0, false, ALLOW),
        (AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, false, ALLOW),
        (AF_NETLINK, SOCK_DGRAM, 9, false, errno(EPROTONOSUPPORT)),
        (AF_UNSPEC, SOCK_STREAM, 0, false, errno(EAFNOSUPPORT)),
        (AF_VSOCK, SOCK_STREAM, 0, false, errno(EAFNOSUPPORT)),
        (AF_PACKET, SOCK_RAW, 0, false, errno(EAFNOSUPPORT)),
        (AF_ALG, SOCK_SEQPACKET, 0, false, errno(EAFNOSUPPORT)),
        (3, SOCK_STREAM, 0, false, errno(EAFNOSUPPORT)),
        (11, SOCK_STREAM, 0, false, errno(EAFNOSUPPORT)),
    ];
    for (domain, kind, protocol, datagrams, expected) in table {
        let policy = policy(Mediation::Pathname, *datagrams, Observe::Off);
        let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
        let args = [domain, kind, protocol].map(|v| u64::from(v.unsigned_abs()));
        for nr in [SYS_socket, SYS_socketpair] {
            let got = verdict(&program, call(nr, &args));
            assert_eq!(got, *expected, "{nr} {domain} {kind} {protocol} {datagrams}");
            // The kernel takes `int`s: the upper halves must not matter.
            let upper = args.map(|v| v | 0xdead_beef_0000_0000);
            assert_eq!(verdict(&program, call(nr, &upper)), *expected, "upper halves");
        }
    }
}

#[test]
fn without_a_network_no_ip_socket_can_be_made() {
    use libc::*;
    for (mediation, datagrams) in
        [(Mediation::Pathname, false), (Mediation::Pathname, true), (Mediation::Off, false)]
    {
        let policy = Policy {
            network: NetworkPolicy::of_mode(NetworkMode::None),
            ..policy(mediation, datagrams, Observe::Off)
        };
        let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
        for nr in [SYS_socket, SYS_socketpair] {
            let answer = |domain: i32, kind: u64, protocol: u64| {
                let domain = u64::from(domain.unsigned_abs());
                let plain = verdict(&program, call(nr, &[domain, kind, protocol]));
                // The kernel takes an `int`: the upper half must not matter.
                let upper = domain | 0xdead_beef_0000_0000;
                assert_eq!(verdict(&program, call(nr, &[upper, kind, protocol])), plain);
                plain
            };
            for domain in [AF_INET, AF_INET6] {
                for kind in 0..=0xffu64 {
                    for protocol in [0, 1, 6, 17, 58, 132, 255, 262] {
                        let refused = answer(domain, kind, protocol);
                        assert_ne!(refused, ALLOW, "{domain} {kind} {protocol}");
                        assert_eq!(refused & 0xffff_0000, SECCOMP_RET_ERRNO);
                    }
                }
                assert_eq!(answer(domain, 1, 0), errno(EACCES));
                assert_eq!(answer(domain, 2 | 0o2_000_000, 17), errno(EACCES));
            }
            // Everything else is as with an open network.
            assert_eq!(answer(AF_UNIX, 1, 0), ALLOW);
            assert_eq!(answer(AF_NETLINK, 3, 0), ALLOW);
            assert_eq!(answer(AF_PACKET, 3, 0), errno(EAFNOSUPPORT));
        }
    }
}

#[test]
fn what_leads_a_judged_call_elsewhere_is_refused() {
    let refused = |mode, nr: i64, args: &[u64]| {
        let network = NetworkPolicy::of_mode(mode);
        let policy = Policy { network, ..policy(Mediation::Pathname, false, Observe::Off) };
        verdict(&compile(&policy, HANDOVER, IpcScope::Kernel).unwrap(), call(nr, args))
    };
    let upper = 0xdead_beef_0000_0000;
    for mode in NetworkMode::ALL {
        let fast_open = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
        let absent = errno(libc::EOPNOTSUPP);
        for flags in [fast_open, fast_open | 0x4000, fast_open | upper] {
            assert_eq!(refused(mode, libc::SYS_sendto, &[3, 1, 4, flags, 1, 16]), absent);
            assert_eq!(refused(mode, libc::SYS_sendmsg, &[3, 1, flags]), absent);
            assert_eq!(refused(mode, libc::SYS_sendmmsg, &[3, 1, 1, flags]), absent);
        }
        let option = |level: u64, name: u64| {
            let plain = refused(mode, libc::SYS_setsockopt, &[3, level, name, 1, 4]);
            let other = [3 | upper, level | upper, name | upper, 1, 4];
            assert_eq!(refused(mode, libc::SYS_setsockopt, &other), plain, "{level} {name}");
            plain
        };
        assert_eq!(option(0, 4), errno(libc::EPERM), "IP_OPTIONS");
        assert_eq!(option(41, 57), errno(libc::EPERM), "IPV6_RTHDR");
        assert_eq!(option(41, 32), errno(libc::EPERM), "IPV6_FLOWLABEL_MGR");
        for name in [26, 27, 44, 50] {
            let expected = if mode.is_closed() { errno(libc::EPERM) } else { ALLOW };
            assert_eq!(option(1, name), expected, "{mode} socket filter {name}");
        }
        for (level, name) in [(1, 25), (1, 62), (0, 50), (0, 35), (41, 76), (41, 20), (41, 50)] {
            let expected = if mode.is_closed() { errno(libc::EPERM) } else { ALLOW };
            assert_eq!(option(level, name), expected, "{mode} {level} {name}");
        }
        let expected = if mode.is_closed() { absent } else { ALLOW };
        assert_eq!(option(1, 60), expected, "{mode} SO_ZEROCOPY");
        for (level, name) in [(0, 51), (6, 31)] {
            assert_eq!(option(level, name), errno(libc::ENOPROTOOPT), "{mode} {level} {name}");
        }
        for (level, name) in
            [(1, 9), (1, 31), (1, 51), (6, 1), (6, 51), (0, 1), (0, 31), (41, 26), (41, 67)]
        {
            assert_eq!(option(level, name), ALLOW, "{mode} {level} {name}");
        }
    }
}

#[test]
fn what_lets_ports_be_shared_is_set_by_the_supervisor() {
    for mode in NetworkMode::ALL {
        let network = NetworkPolicy::of_mode(mode);
        let policy = Policy { network, ..policy(Mediation::Off, false, Observe::Off) };
        let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
        let expected = if mode == NetworkMode::None { ALLOW } else { NOTIFY };
        for (name, what) in [(2, Sharing::Address), (15, Sharing::Port)] {
            let set = call(libc::SYS_setsockopt, &[3, 1 | 0xdead_beef_0000_0000, name, 1, 4]);
            assert_eq!(answer(&program, set), expected, "{mode} {name}");
            assert_eq!(Sharing::of(&set.args), Some(what));
        }
        for (level, name) in [(1, 3), (2, 2), (6, 15)] {
            let other = call(libc::SYS_setsockopt, &[3, level, name, 1, 4]);
            assert_eq!((answer(&program, other), Sharing::of(&other.args)), (ALLOW, None));
        }
    }
}

#[test]
fn only_tcp_and_udp_where_addresses_are_judged() {
    for mode in NetworkMode::ALL {
        let network = NetworkPolicy::of_mode(mode);
        let policy = Policy { network, ..policy(Mediation::Pathname, false, Observe::Off) };
        let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
        for family in [2, 10] {
            let answer = |kind, protocol| {
                verdict(&program, call(libc::SYS_socket, &[family, kind, protocol]))
            };
            let ordinary = if mode == NetworkMode::None { errno(libc::EACCES) } else { ALLOW };
            let made = matches!(mode, NetworkMode::Loopback | NetworkMode::Proxy);
            for (kind, protocol) in [(1, 0), (1, 6)] {
                assert_eq!(answer(kind, protocol), ordinary, "{mode} {kind} {protocol}");
            }
            for (kind, protocol) in [(2, 0), (2, 17), (2 | 0o2_004_000, 17)] {
                let asked = call(libc::SYS_socket, &[family, kind, protocol]);
                match made {
                    true => assert_eq!(run(&program, asked), Ok(NOTIFY), "{mode} {kind}"),
                    false => assert_eq!(verdict(&program, asked), ordinary, "{mode} {kind}"),
                }
            }
            for (kind, protocol) in [(2, 1), (2, 58), (2, 136), (3, 0), (3, 255), (4, 0), (10, 0)] {
                let open = mode == NetworkMode::Open;
                let refused = answer(kind, protocol);
                assert_eq!(refused == ALLOW, open, "{mode} {kind} {protocol}");
            }
        }
    }
}

/// The threads of a process use its descriptors, and nobody else does.
#[test]
fn tables_of_descriptors() {
    let program =
        compile(&policy(Mediation::Pathname, false, Observe::Off), HANDOVER, IpcScope::Kernel)
            .unwrap();
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let files = u64::from(libc::CLONE_FILES.unsigned_abs());
    let memory = u64::from((libc::CLONE_VM | libc::CLONE_VFORK).unsigned_abs());
    let table: &[(i64, &[u64], u32)] = &[
        (libc::SYS_clone, &[thread], errno(libc::EPERM)),
        (libc::SYS_clone, &[thread | files], ALLOW),
        (libc::SYS_clone, &[files | 0x11], errno(libc::EPERM)),
        (libc::SYS_clone, &[memory | 0x11], ALLOW),
        (libc::SYS_unshare, &[files], errno(libc::EPERM)),
        (libc::SYS_close_range, &[3, 9, 2], errno(libc::EINVAL)),
        (libc::SYS_close_range, &[3, 9, 6], errno(libc::EINVAL)),
        (libc::SYS_close_range, &[3, 9, 4], ALLOW),
    ];
    for (nr, args, expected) in table {
        assert_eq!(verdict(&program, call(*nr, args)), *expected, "{nr} {args:x?}");
    }
}

#[test]
fn refusals() {
    let program =
        compile(&policy(Mediation::Pathname, false, Observe::Off), HANDOVER, IpcScope::Kernel)
            .unwrap();
    let newuser = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let table: &[(i64, &[u64], u32)] = &[
        (libc::SYS_io_uring_setup, &[], errno(libc::ENOSYS)),
        (libc::SYS_clone3, &[], errno(libc::ENOSYS)),
        (libc::SYS_openat2, &[], errno(libc::ENOSYS)),
        // Access mode 3, other flags, and O_PATH, for which the mode means nothing.
        (libc::SYS_openat, &[0, 0, 3], errno(libc::EINVAL)),
        (libc::SYS_openat, &[0, 0, 0o2_000_003], errno(libc::EINVAL)),
        (libc::SYS_openat, &[0, 0, 0o10_000_003], ALLOW),
        (libc::SYS_ptrace, &[], errno(libc::EPERM)),
        (libc::SYS_pidfd_getfd, &[], errno(libc::EPERM)),
        (libc::SYS_clone, &[0x11], ALLOW),
        (libc::SYS_clone, &[0x11 | newuser], errno(libc::EPERM)),
        (libc::SYS_unshare, &[newuser], errno(libc::EPERM)),
        (libc::SYS_unshare, &[u64::from(libc::CLONE_FS.unsigned_abs())], ALLOW),
        (libc::SYS_seccomp, &[1, 0], ALLOW),
        (libc::SYS_seccomp, &[1, listener], errno(libc::EPERM)),
        (libc::SYS_seccomp, &[1, listener | 1], errno(libc::EPERM)),
        (libc::SYS_ioctl, &[0, libc::TIOCSTI], errno(libc::EPERM)),
        (libc::SYS_ioctl, &[0, libc::TIOCSTI | 1 << 32], errno(libc::EPERM)),
        (libc::SYS_ioctl, &[0, libc::TIOCGWINSZ], ALLOW),
        (libc::SYS_fcntl, &[3, 1024, 0], errno(libc::EPERM)),
        (libc::SYS_fcntl, &[3, 1024 | 7 << 32, 0], errno(libc::EPERM)),
        (libc::SYS_fcntl, &[3, 1026, 1], errno(libc::EPERM)),
        (libc::SYS_fcntl, &[3, 1025, 0], ALLOW),
        (libc::SYS_fcntl, &[3, 1040, 0x1000], errno(libc::EPERM)),
        (libc::SYS_fcntl, &[3, 1039, 0x1000], ALLOW),
        (libc::SYS_ioctl, &[3, 0x6609], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[3, 0x4008_6602, 1], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[3, 0x8008_6601, 1], ALLOW),
        // FS_IOC_ADD_ENCRYPTION_KEY, REMOVE_ENCRYPTION_KEY, the same for all users; the status of
        // one is nobody's loss. FAT_IOCTL_SET_ATTRIBUTES.
        (libc::SYS_ioctl, &[3, 0xc050_6617, 1], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[3, 0xc040_6618, 1], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[3, 0xc040_6619, 1], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[3, 0xc080_661a, 1], ALLOW),
        (libc::SYS_ioctl, &[3, 0x4004_7211, 1], errno(libc::EOPNOTSUPP)),
        (libc::SYS_ioctl, &[0, libc::TIOCSETD], errno(libc::EPERM)),
        (libc::SYS_ioctl, &[0, libc::TIOCGETD], ALLOW),
        // F_SET_RW_HINT; F_GET_RW_HINT and the hint of a descriptor.
        (libc::SYS_fcntl, &[3, 1036, 1], errno(libc::EINVAL)),
        (libc::SYS_fcntl, &[3, 1035, 1], ALLOW),
        (libc::SYS_fcntl, &[3, 1038, 1], ALLOW),
        (libc::SYS_quotactl_fd, &[3], errno(libc::EPERM)),
        // open_tree_attr
        (467, &[3], errno(libc::ENOSYS)),
        (463, &[], errno(libc::ENOSYS)),
        (466, &[], errno(libc::ENOSYS)),
        (469, &[], errno(libc::ENOSYS)),
        (libc::SYS_prlimit64, &[0], ALLOW),
        (libc::SYS_prlimit64, &[77], NOTIFY),
        (libc::SYS_setpriority, &[0, 0, 5], ALLOW),
        (libc::SYS_setpriority, &[0, 77, 5], NOTIFY),
        (libc::SYS_setpriority, &[2, 0, 5], NOTIFY),
        (libc::SYS_ioprio_set, &[1, 0], ALLOW),
        (libc::SYS_ioprio_set, &[3, 0], NOTIFY),
        (libc::SYS_sched_setaffinity, &[0, 8, 1], ALLOW),
        (libc::SYS_sched_setaffinity, &[77, 8, 1], NOTIFY),
        (libc::SYS_prctl, &[4, 0], errno(0)),
        (libc::SYS_prctl, &[15], ALLOW),
    ];
    for (nr, args, expected) in table {
        assert_eq!(verdict(&program, call(*nr, args)), *expected, "{nr} {args:x?}");
    }
}

#[test]
fn what_is_trapped_in_each_mode() {
    let notified = |policy: &Policy, nr: i64, args: &[u64]| {
        verdict(&compile(policy, HANDOVER, IpcScope::Kernel).unwrap(), call(nr, args)) == NOTIFY
    };
    let plain = policy(Mediation::Pathname, false, Observe::Off);
    let datagrams = policy(Mediation::Pathname, true, Observe::Off);
    let off = policy(Mediation::Off, false, Observe::Off);
    let writes = policy(Mediation::Pathname, false, Observe::Writes);
    let mode = |mode, unix| Policy {
        network: NetworkPolicy::of_mode(mode),
        ..policy(unix, false, Observe::Off)
    };
    for nr in [libc::SYS_connect, libc::SYS_bind] {
        assert!(notified(&plain, nr, &[3, 1, 16]));
        assert!(notified(&off, nr, &[3, 1, 16]));
        assert!(!notified(&mode(NetworkMode::None, Mediation::Off), nr, &[3, 1, 16]));
    }
    for network in NetworkMode::ALL {
        let policy = mode(network, Mediation::Off);
        let closed = network.is_closed();
        assert_eq!(notified(&policy, libc::SYS_listen, &[3, 1]), closed, "{network}");
        assert_eq!(notified(&policy, libc::SYS_sendto, &[3, 1, 4, 0, 1, 16]), closed, "{network}");
        assert!(!notified(&policy, libc::SYS_sendto, &[3, 1, 4, 0, 0, 0]), "{network}");
        assert_eq!(notified(&policy, libc::SYS_sendmsg, &[3, 1, 0]), closed, "{network}");
        assert_eq!(notified(&policy, libc::SYS_sendmmsg, &[3, 1, 1, 0]), closed, "{network}");
    }
    assert!(!notified(&plain, libc::SYS_sendto, &[3, 1, 4, 0, 0x1000, 16]));
    assert!(!notified(&plain, libc::SYS_sendmsg, &[3, 1, 0]));
    assert!(notified(&datagrams, libc::SYS_sendto, &[3, 1, 4, 0, 0x1000, 16]));
    assert!(notified(&datagrams, libc::SYS_sendto, &[3, 1, 4, 0, 0x1000_0000_0000, 16]));
    assert!(!notified(&datagrams, libc::SYS_sendto, &[3, 1, 4, 0, 0, 0]));
    assert!(notified(&datagrams, libc::SYS_sendmmsg, &[3, 1, 1, 0]));
    let flag = |flags: i32| u64::from(flags.cast_unsigned());
    let open = |flags: i32| [0, 0x1000, flag(flags)];
    assert!(!notified(&writes, libc::SYS_openat, &open(libc::O_RDONLY | libc::O_CLOEXEC)));
    assert!(notified(&writes, libc::SYS_openat, &open(libc::O_WRONLY)));
    assert!(notified(&writes, libc::SYS_openat, &open(libc::O_RDWR)));
    assert!(notified(&writes, libc::SYS_openat, &open(libc::O_CREAT)));
    assert!(notified(&writes, libc::SYS_openat, &open(libc::O_TRUNC | libc::O_CLOEXEC)));
    let named = |flags: i32| [u64::from(libc::AT_FDCWD.cast_unsigned()), 0x1000, flag(flags)];
    let listing = libc::O_DIRECTORY | libc::O_CLOEXEC;
    assert!(notified(&writes, libc::SYS_openat, &named(libc::O_RDONLY)));
    assert!(notified(&writes, libc::SYS_openat, &named(listing)));
    for unseen in [libc::O_CLOEXEC, libc::O_NOCTTY, libc::O_NOFOLLOW] {
        assert!(!notified(&writes, libc::SYS_openat, &named(unseen)));
        assert!(notified(&writes, libc::SYS_openat, &named(unseen | libc::O_WRONLY)));
    }
    assert!(!notified(&writes, libc::SYS_openat, &open(listing)), "a walk through a tree");
    let all = policy(Mediation::Pathname, false, Observe::All);
    assert!(notified(&all, libc::SYS_openat, &open(libc::O_RDONLY)));
    assert!(!notified(&all, libc::SYS_openat, &open(libc::O_PATH | libc::O_DIRECTORY)));
    // Exclusive locks and watches as well.
    assert!(notified(&off, libc::SYS_flock, &[3, 2]));
    assert!(notified(&off, libc::SYS_flock, &[3, 2 | 4 | 7 << 32]));
    assert!(!notified(&off, libc::SYS_flock, &[3, 1]));
    assert!(!notified(&off, libc::SYS_flock, &[3, 8]));
    assert!(notified(&off, libc::SYS_inotify_add_watch, &[3, 1, 2]));
    // Attributes are, whatever else is switched off.
    for nr in [libc::SYS_fchmod, libc::SYS_fchownat, libc::SYS_utimensat, libc::SYS_fsetxattr] {
        assert!(notified(&off, nr, &[3, 1, 2, 0]));
    }
}

#[test]
fn without_a_scope_signals_are_mediated_and_owners_refused() {
    let policy = policy(Mediation::Off, false, Observe::Off);
    let unscoped = compile(&policy, HANDOVER, IpcScope::Mediated).unwrap();
    let scoped = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
    for nr in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_pidfd_send_signal] {
        assert_eq!(verdict(&unscoped, call(nr, &[1, 9])), NOTIFY);
        assert_eq!(verdict(&scoped, call(nr, &[1, 9])), ALLOW);
    }
    let watched = compile(
        &super::tests::policy(Mediation::Off, false, Observe::All),
        HANDOVER,
        IpcScope::Kernel,
    );
    assert_eq!(verdict(&watched.unwrap(), call(libc::SYS_kill, &[1, 9])), NOTIFY);
    for command in [8, 10, 15] {
        assert_eq!(verdict(&unscoped, call(libc::SYS_fcntl, &[3, command])), errno(libc::EPERM));
        assert_eq!(verdict(&scoped, call(libc::SYS_fcntl, &[3, command])), ALLOW);
    }
    assert_eq!(verdict(&unscoped, call(libc::SYS_fcntl, &[3, 2])), ALLOW);
}

#[test]
fn what_is_allowed_passes_in_a_few_steps() {
    let policy = policy(Mediation::Pathname, true, Observe::All);
    let program = compile(&policy, HANDOVER, IpcScope::Kernel).unwrap();
    let steps = |nr| walk(&program, call(nr, &[])).unwrap();
    let mut allowed: Vec<usize> = (0..600)
        .map(steps)
        .filter(|(answer, _)| *answer == ALLOW)
        .map(|(_, steps)| steps)
        .collect();
    allowed.sort_unstable();
    assert!(allowed.len() > 350 && program.len() > 200, "{allowed:?} of {}", program.len());
    // Those that have rules take longer.
    let (without, with) = allowed.split_at(340);
    assert!(without.iter().all(|steps| *steps <= 24), "{without:?}");
    assert!(with.iter().all(|steps| *steps <= 120), "{with:?}");
}

#[test]
fn every_trapped_call_is_known_to_the_dispatcher() {
    for ipc in IpcScope::ALL {
        let network = NetworkPolicy::of_mode(NetworkMode::Loopback);
        let policy = Policy { network, ..policy(Mediation::Pathname, true, Observe::All) };
        let program = compile(&policy, HANDOVER, ipc).unwrap();
        for nr in 0..600i64 {
            let notifies = run(&program, call(nr, &[1, 2, 2, 1, 1, 1])) == Ok(NOTIFY);
            // Refusals may depend on arguments; all else that is known is trapped.
            match trapped(nr, ipc) {
                None => assert!(!notifies, "{nr}"),
                Some(Trapped::Refused(..) | Trapped::ByNumber(_)) => {}
                Some(Trapped::Mediated(..)) if ipc == IpcScope::Kernel && signal_call(nr) => {
                    assert!(!notifies)
                }
                Some(_) => assert!(notifies, "{nr}"),
            }
        }
    }
}

fn signal_call(nr: i64) -> bool {
    [libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo]
        .contains(&nr)
        || nr == libc::SYS_pidfd_send_signal
}
