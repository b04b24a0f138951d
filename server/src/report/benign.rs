//! Probes that programs make all the time and do well without. Refused, they are no reason to
//! worry about, unless the program itself says that one was.

use nono_sandbox::record::{Denial, Kind, Operation};

/// Opened by everybody, whether it is there or not.
const FILES: &[&str] = &["/dev/tty", "/dev/log", "/dev/console", "/proc/self/coredump_filter"];
/// Folders that tools list on their way, for something that is seldom there.
const LISTED: &[&str] = &["/dev", "/etc", "/etc/gss/mech.d", "/etc/pam.d"];
/// Names of files that hold what was typed, or what was compiled, for the next time.
const LEFT_BEHIND: &[&str] = &[
    ".bash_history",
    ".python_history",
    ".node_repl_history",
    ".sqlite_history",
    ".psql_history",
    ".lesshst",
    ".wget-hsts",
    ".viminfo",
];
/// Sockets that libc and others try first.
const SOCKETS: &[&str] = &[
    "/var/run/nscd/socket",
    "/run/nscd/socket",
    "/dev/log",
    "/run/systemd/journal/dev-log",
    "/run/systemd/userdb/io.systemd.DynamicUser",
    "/var/run/avahi-daemon/socket",
];
/// Calls that are asked for once, to see whether they are there. Also MPTCP, which Go tries first,
/// and the datagram socket of `syslog`; a pair of those is made by who needs it.
const CALLS: &[&str] = &["io_uring_setup", "AF_UNIX datagram socket"];
const MPTCP: &str = "socket, type 1, protocol 262";

/// What speaks for a probe, if this is one.
pub(super) fn probe(denial: &Denial) -> Option<&'static str> {
    let target = String::from_utf8_lossy(&denial.target);
    let name = target.rsplit('/').next().unwrap_or_default();
    match denial.kind {
        Kind::Fs if FILES.contains(&&*target) => Some("every program of its kind looks there"),
        Kind::Fs if changes(denial.operation) && LEFT_BEHIND.contains(&name) => {
            Some("a history, written at the end")
        }
        Kind::Fs if denial.operation == Operation::Read && LISTED.contains(&&*target) => {
            Some("listed on the way to something else")
        }
        Kind::Fs if target.contains("/hsperfdata_") => {
            Some("a Java machine's counters, which nobody needs")
        }
        Kind::Fs if changes(denial.operation) && is_python_cache(&target) => {
            Some("Python keeps compiled modules if it may")
        }
        Kind::Fs if target.starts_with("/proc/") && target.ends_with("/oom_score_adj") => {
            Some("a hint to the kernel, which nobody needs")
        }
        Kind::UnixSocket if SOCKETS.contains(&&*target) => Some("tried first, never needed"),
        Kind::UnixSocket if name == "S.dirmngr" => Some("GnuPG's helper for the network"),
        Kind::Syscall | Kind::Socket
            if denial.syscall != "socketpair"
                && (CALLS.contains(&&*target) || target.ends_with(MPTCP)) =>
        {
            Some("asked for to see whether it is there")
        }
        Kind::Fs
        | Kind::UnixSocket
        | Kind::Exec
        | Kind::Signal
        | Kind::NetConnect
        | Kind::NetBind
        | Kind::Dns
        | Kind::NetProxy
        | Kind::Socket
        | Kind::Syscall
        | Kind::NestedSandbox => None,
    }
}

fn is_python_cache(target: &str) -> bool {
    target.ends_with("/__pycache__") || target.contains("/__pycache__/")
}

fn changes(operation: Operation) -> bool {
    matches!(operation, Operation::Write | Operation::Create | Operation::Rename)
}
