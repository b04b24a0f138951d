//! Probes that programs make all the time and do well without. Refused, they are no reason to
//! worry about, unless the program itself says that one was.

use nono_sandbox::record::{Denial, Kind, Operation};
use std::borrow::Cow;

/// How readily the kernel ends a process, by its names of today and of before 2.6.36 (`sshd` tries
/// both).
const OOM_HINTS: [&str; 2] = ["oom_score_adj", "oom_adj"];

/// Opened by everybody, whether it is there or not.
const FILES: &[&str] = &["/dev/tty", "/dev/log", "/dev/console", "/proc/self/coredump_filter"];
/// Folders that tools list on their way, for something that is seldom there.
const LISTED: &[&str] = &["/dev", "/etc", "/etc/gss/mech.d", "/etc/pam.d"];
/// Files that hold what was typed, for the next time: how their names begin, and whose they are.
/// What is written is written beside it first: `.lesshsQ`, `.viminfo.tmp`, `.viminfz.tmp`,
/// `.bash_history-00007.tmp`.
const LEFT_BEHIND: &[(&str, &[&str])] = &[
    (".bash_history", &["bash", "sh"]),
    (".python_history", &["python"]),
    (".node_repl_history", &["node"]),
    (".sqlite_history", &["sqlite3"]),
    (".psql_history", &["psql"]),
    (".lesshs", &["less"]),
    (".wget-hsts", &["wget"]),
    (".viminf", &["vi", "vim", "view", "nvim"]),
];
/// What cargo keeps for cleaning its caches up, and the database beside that.
const CARGO_BOOKS: [&str; 2] = [".global-cache", ".global-cache-journal"];
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
const CALLS: &[&str] = &["io_uring_setup", "fanotify_init", "AF_UNIX datagram socket"];
const MPTCP: &str = "socket, type 1, protocol 262";

/// How `ss` asks for sockets first. It says that it cannot, and reads `/proc/net` instead.
const SOCKETS_BY_NETLINK: (&str, &str) = ("AF_NETLINK socket", "protocol 4");

/// Whether the program says of this refusal, which is a probe, that it met it, and goes on.
pub(super) fn is_said_in_passing(denial: &Denial) -> bool {
    let target = String::from_utf8_lossy(&denial.target);
    let (kind, protocol) = SOCKETS_BY_NETLINK;
    denial.kind == Kind::Socket
        && target.starts_with(kind)
        && target.ends_with(protocol)
        && program(denial) == "ss"
}

/// What speaks for a probe, if this is one.
pub(super) fn probe(denial: &Denial) -> Option<&'static str> {
    let target = String::from_utf8_lossy(&denial.target);
    let name = target.rsplit('/').next().unwrap_or_default();
    match denial.kind {
        Kind::Fs if FILES.contains(&&*target) => Some("every program of its kind looks there"),
        Kind::Fs if history(name).is_some() && changes(denial.operation) => {
            Some("a history, written at the end")
        }
        Kind::Fs
            if matches!(denial.operation, Operation::Read | Operation::Delete)
                && keeps(name, denial) =>
        {
            Some("a history, of the program that keeps it")
        }
        Kind::Fs if denial.operation == Operation::Read && LISTED.contains(&&*target) => {
            Some("listed on the way to something else")
        }
        Kind::Fs if changes(denial.operation) && CARGO_BOOKS.contains(&name) => {
            Some("cargo's book of what was used last, beside what it may not write")
        }
        Kind::Fs if target.contains("/hsperfdata_") => {
            Some("a Java machine's counters, which nobody needs")
        }
        Kind::Fs if changes(denial.operation) && is_python_cache(&target) => {
            Some("Python keeps compiled modules if it may")
        }
        Kind::Fs if target.starts_with("/proc/") && OOM_HINTS.contains(&name) => {
            Some("a hint to the kernel, which nobody needs")
        }
        Kind::Fs if changes(denial.operation) && is_thread_name(&target) => {
            Some("the name of another thread, which debuggers show")
        }
        Kind::Socket if is_said_in_passing(denial) => Some("ss reads /proc/net instead"),
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

/// The programs whose history a file of this name is.
fn history(name: &str) -> Option<&'static [&'static str]> {
    LEFT_BEHIND.iter().find(|(start, _)| name.starts_with(start)).map(|(_, programs)| *programs)
}

/// Whether this is the program's own history; anybody else is after what is in it.
fn keeps(name: &str, denial: &Denial) -> bool {
    let program = program(denial);
    // `python3.11`, `vim.basic`
    let version = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphabetic());
    let is = |keeper: &&str| program.strip_prefix(keeper).is_some_and(version);
    history(name).is_some_and(|keepers| keepers.iter().any(is))
}

/// The name of the program that was refused.
fn program(denial: &Denial) -> Cow<'_, str> {
    String::from_utf8_lossy(denial.exe.rsplit(|b| *b == b'/').next().unwrap_or_default())
}

/// `/proc/self/task/7/comm`, by which a thread names another one. To allow that, all of `/proc`
/// would have to be writable: the rules of the kernel know no part of it that is the run's.
fn is_thread_name(target: &str) -> bool {
    target.starts_with("/proc/") && target.ends_with("/comm") && target.contains("/task/")
}

fn is_python_cache(target: &str) -> bool {
    target.ends_with("/__pycache__") || target.contains("/__pycache__/")
}

fn changes(operation: Operation) -> bool {
    matches!(operation, Operation::Write | Operation::Create | Operation::Rename)
}
