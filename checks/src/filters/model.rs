//! What each call gets, said without rules, programs or tables of conditions.

use nono_sandbox::IpcScope;
use nono_sandbox::filter::interpret::Call;
use nono_sandbox::filter::{
    Handover, Mediated, Observed, Refused, SendCall, SignalCall, Trapped, trapped,
};
use nono_sandbox::policy::{Mediation, NetworkMode, Observe, Policy};

/// Calls that have rules about their arguments.
pub(super) const TELLING: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_setsockopt,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_execve,
    libc::SYS_renameat2,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_unshare,
    libc::SYS_seccomp,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_flock,
    libc::SYS_kill,
    libc::SYS_tgkill,
];

/// Values that rules about arguments compare with, and their neighbours.
pub(super) const WORDS: &[u64] = &[
    0x5412,
    0x541c,
    0x4008_6602,
    0x401c_5820,
    0x4008_7602,
    0x800c_6613,
    0x4080_6685,
    0xc040_6618,
    0x5423,
    0x8901,
    0x8902,
    8,
    10,
    15,
    16,
    17,
    1024,
    1025,
    1026,
    1036,
    1040,
    0x6609,
    6,
    31,
    51,
    0xffff_ff9c,
    3,
    0o100,
    0o1000,
    0o400,
    0o2_000_000,
    0o200_000,
    0o10_000_000,
    0x2000_0000,
    0x1000_0000,
    0x8000_0000,
    0x400,
    0x80,
    25,
    60,
    37,
    65,
    32,
    41,
    62,
    50,
    57,
    132,
    262,
];

const KILL: u32 = 0x8000_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const ALLOW: u32 = 0x7fff_0000;

fn errno(errno: i32) -> u32 {
    0x0005_0000 | errno.unsigned_abs()
}

/// The kernel takes these registers for 32 bits.
fn low(register: u64) -> u32 {
    u32::try_from(register & 0xffff_ffff).unwrap_or_default()
}

/// What the kernel makes of the call.
pub(super) fn answer(
    policy: &Policy,
    handover: Handover,
    ipc: IpcScope,
    native: u32,
    call: &Call,
) -> u32 {
    if call.arch != native {
        return KILL;
    }
    if cfg!(target_arch = "x86_64") && call.nr >= 0x4000_0000 {
        return errno(libc::ENOSYS);
    }
    if let Some(silent) = silent(policy, ipc, call) {
        return errno(silent);
    }
    let notified = match trapped(call.nr.into(), ipc) {
        None => false,
        Some(Trapped::Mediated(mediated, _)) => performed(policy, handover, ipc, mediated, call),
        Some(Trapped::Observed(observed, _)) => watched(policy, observed, call),
        Some(Trapped::ByNumber(_)) => by_number(call),
        Some(Trapped::Refused(refused, _)) => told(policy, ipc, refused, call),
    };
    if notified { NOTIFY } else { ALLOW }
}

/// Refused without anybody being asked.
fn silent(policy: &Policy, ipc: IpcScope, call: &Call) -> Option<i32> {
    let [a, b, c, d, ..] = call.args.map(low);
    let fast_open = |flags: u32| flags & 0x2000_0000 != 0;
    match i64::from(call.nr) {
        libc::SYS_clone3
        | libc::SYS_openat2
        | libc::SYS_io_uring_enter
        | libc::SYS_io_uring_register => Some(libc::ENOSYS),
        libc::SYS_openat => neither_way(c),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => neither_way(b),
        463 | 466 | 467 | 469 => Some(libc::ENOSYS),
        libc::SYS_ioctl => {
            let files =
                [0x4008_6602, 0x401c_5820, 0x4008_7602, 0x4008_6604, 0x800c_6613, 0x4080_6685];
            let ext4 = [0x6609, 0x660c, 0x6628];
            let btrfs = [1, 2, 14, 15, 23, 24, 63].map(|nr| 0x5000_9400 | nr);
            let others = [0x4030_9410, 0x4008_941a, 0xc0c8_9425];
            let keys = [0xc050_6617, 0xc040_6618, 0xc040_6619];
            let fat = [0x4004_7211];
            let all = files.iter().chain(&ext4).chain(&btrfs).chain(&others);
            let mut all = all.chain(&keys).chain(&fat);
            all.any(|command| *command == b).then_some(libc::EOPNOTSUPP)
        }
        libc::SYS_fcntl => (b == 1036).then_some(libc::EINVAL),
        libc::SYS_close_range => (c & 2 != 0).then_some(libc::EINVAL),
        libc::SYS_prctl => (a == 4).then_some(0),
        libc::SYS_sendto | libc::SYS_sendmmsg => fast_open(d).then_some(libc::EOPNOTSUPP),
        libc::SYS_sendmsg => fast_open(c).then_some(libc::EOPNOTSUPP),
        libc::SYS_setsockopt => {
            let route = matches!((b, c), (0, 4) | (41, 57 | 5 | 6 | 32));
            let closed = policy.network.mode.is_closed();
            let filter = matches!((b, c), (1, 26 | 27 | 44 | 50));
            if route || filter && closed {
                return Some(libc::EPERM);
            }
            if matches!((b, c), (0, 51) | (6, 31)) {
                return Some(libc::ENOPROTOOPT);
            }
            (sends(policy, ipc) && (b, c) == (1, 60)).then_some(libc::EOPNOTSUPP)
        }
        _ => None,
    }
}

/// Access mode 3 without `O_PATH`.
fn neither_way(flags: u32) -> Option<i32> {
    let path = flags & libc::O_PATH.cast_unsigned() != 0;
    (flags & 3 == 3 && !path).then_some(libc::EINVAL)
}

/// Whether sends are judged.
fn sends(policy: &Policy, ipc: IpcScope) -> bool {
    let datagrams = match policy.unix.mediation {
        Mediation::Pathname => policy.unix.datagrams,
        Mediation::Off => ipc == IpcScope::Mediated,
    };
    datagrams || policy.network.mode.is_closed()
}

/// Whether the supervisor performs it.
fn performed(
    policy: &Policy,
    handover: Handover,
    ipc: IpcScope,
    mediated: Mediated,
    call: &Call,
) -> bool {
    let paths = policy.unix.mediation == Mediation::Pathname;
    let closed = policy.network.mode.is_closed();
    let sends = sends(policy, ipc);
    let [a, b, c, _, e, _] = call.args;
    match mediated {
        Mediated::Connect | Mediated::Bind => {
            paths || ipc == IpcScope::Mediated || policy.network.mode != NetworkMode::None
        }
        Mediated::Share(_) => policy.network.mode != NetworkMode::None,
        Mediated::Listen => closed || policy.network.listen.is_some(),
        Mediated::Send(SendCall::To) => sends && e != 0,
        Mediated::Send(SendCall::Message) => {
            let secret = handover.secret;
            let fd = u64::from(handover.fd.unsigned_abs()) | secret >> 32 << 32;
            let flags = u64::from(libc::MSG_NOSIGNAL.unsigned_abs()) | secret << 32;
            sends && (a, c) != (fd, flags)
        }
        Mediated::Send(SendCall::Messages) => sends,
        Mediated::Signal(SignalCall::Kill) if policy.observe != Observe::Off => true,
        Mediated::Signal(_) => ipc == IpcScope::Mediated,
        Mediated::Attribute(_) | Mediated::Watch => true,
        Mediated::Lock => low(b) & 2 != 0,
    }
}

/// Whether the supervisor looks at it.
fn watched(policy: &Policy, observed: Observed, call: &Call) -> bool {
    let protects = !policy.fs.protected.is_empty();
    let [a, b, c, ..] = call.args.map(low);
    let (at_cwd, flags) = match observed {
        Observed::Open => (true, b),
        Observed::OpenAt => (a == 0xffff_ff9c, c),
        Observed::Kill => return policy.observe != Observe::Off,
        Observed::Exec | Observed::ExecAt => return policy.observe.watches(),
        _ => return policy.observe.watches() || protects,
    };
    let has = |flag: i32| flags & flag.cast_unsigned() != 0;
    let (write_only, both) = (flags & 3 == 1, flags & 3 == 2);
    let changes = write_only || both || has(libc::O_CREAT) || has(libc::O_TRUNC);
    match policy.observe {
        Observe::All => !has(libc::O_PATH),
        Observe::Writes => {
            let plain =
                [libc::O_CLOEXEC, libc::O_NOCTTY, libc::O_NOFOLLOW].into_iter().all(|f| !has(f));
            changes || at_cwd && (plain || has(libc::O_DIRECTORY))
        }
        Observe::Audit | Observe::Off => protects && changes,
    }
}

/// Whether it is refused and told.
fn told(policy: &Policy, ipc: IpcScope, refused: Refused, call: &Call) -> bool {
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let any_namespace = namespaces.iter().fold(0, |all, bit| all | bit.cast_unsigned());
    let [a, b, ..] = call.args.map(low);
    match i64::from(call.nr) {
        _ if refused == Refused::Socket => no_socket(policy, call) || is_made(policy, call),
        _ if refused == Refused::Option => {
            let [_, level, name, ..] = call.args.map(low);
            let device = matches!(
                (level, name),
                (1, 25 | 62)
                    | (0, 50 | 32 | 35 | 39 | 42 | 46)
                    | (41, 76 | 17 | 20 | 27 | 42 | 46 | 50)
            );
            let shares = matches!((level, name), (1, 2 | 15));
            device && policy.network.mode.is_closed()
                || shares && policy.network.mode != NetworkMode::None
        }
        libc::SYS_clone => {
            let has = |bit: i32| a & bit.cast_unsigned() != 0;
            a & any_namespace != 0 || has(libc::CLONE_THREAD) != has(libc::CLONE_FILES)
        }
        libc::SYS_unshare => a & (any_namespace | 0x80 | libc::CLONE_FILES.cast_unsigned()) != 0,
        libc::SYS_seccomp => a == 1 && call.args[1] & 8 != 0,
        libc::SYS_ioctl => {
            matches!(b, 0x5412 | 0x541c | 0x5423)
                || ipc == IpcScope::Mediated && matches!(b, 0x8901 | 0x8902)
        }
        libc::SYS_fcntl => {
            matches!(b, 1024 | 1026 | 1040) || ipc == IpcScope::Mediated && matches!(b, 8 | 10 | 15)
        }
        _ => true,
    }
}

/// Whether the supervisor has to say whose the number is: only 0 is always the caller.
fn by_number(call: &Call) -> bool {
    let [a, b, ..] = call.args.map(low);
    match i64::from(call.nr) {
        libc::SYS_setpriority => (a, b) != (0, 0),
        libc::SYS_ioprio_set => (a, b) != (1, 0),
        _ => a != 0,
    }
}

/// Whether the supervisor makes such a socket.
fn is_made(policy: &Policy, call: &Call) -> bool {
    let [family, kind, protocol, ..] = call.args.map(low);
    let udp = matches!((family, kind & 0xf, protocol), (2 | 10, 2, 0 | 17));
    let network = &policy.network;
    let here = matches!(network.mode, NetworkMode::Loopback | NetworkMode::Proxy);
    i64::from(call.nr) == libc::SYS_socket && udp && here && network.expose.is_empty()
}

/// Whether such a socket may not exist.
fn no_socket(policy: &Policy, call: &Call) -> bool {
    let [family, kind, protocol, ..] = call.args.map(low);
    let (stream, datagram, sequenced) = (1, 2, 5);
    match (family, kind & 0xf) {
        (1, kind) => {
            let judged = policy.unix.mediation == Mediation::Pathname && !policy.unix.datagrams;
            judged && ![stream, sequenced].contains(&kind)
        }
        (16, _) => protocol != 0,
        (2 | 10, kind) => match policy.network.mode {
            NetworkMode::None => true,
            _ if kind == stream => ![0, 6].contains(&protocol),
            _ if kind == sequenced => true,
            NetworkMode::Open => false,
            _ => kind != datagram || ![0, 17].contains(&protocol),
        },
        _ => true,
    }
}
