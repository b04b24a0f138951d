//! What each trapped call is for, whichever policy has it trapped.

use super::Sharing;
use super::refused::{BY_NUMBER, Refused, refused};
use crate::IpcScope;

/// Calls the supervisor performs on the caller's behalf. There is no way to answer "go on" to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mediated {
    /// `connect(fd, address, length)`
    Connect,
    /// `bind(fd, address, length)`
    Bind,
    /// `listen(fd, backlog)`
    Listen,
    /// `setsockopt(fd, SOL_SOCKET, option, value, length)`, told from other options by a register
    Share(Sharing),
    /// Data for an address.
    Send(SendCall),
    /// A signal.
    Signal(SignalCall),
    /// A change of a mode, an owner, a time or an extended attribute.
    Attribute(AttributeCall),
    /// `inotify_add_watch(fd, path, mask)`
    Watch,
    /// `flock(fd, operation)`, exclusive
    Lock,
}

/// Calls that send data to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendCall {
    /// `sendto(fd, buffer, length, flags, address, length)`
    To,
    /// `sendmsg(fd, message, flags)`
    Message,
    /// `sendmmsg(fd, messages, count, flags)`
    Messages,
}

/// Calls that send a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalCall {
    /// `kill(pid, signal)`
    Kill,
    /// `tkill(tid, signal)`
    Tkill,
    /// `tgkill(tgid, tid, signal)`
    Tgkill,
    /// `rt_sigqueueinfo(pid, signal, info)`
    Queue,
    /// `rt_tgsigqueueinfo(tgid, tid, signal, info)`
    ThreadQueue,
    /// `pidfd_send_signal(pidfd, signal, info, flags)`
    Pidfd,
}

/// Calls that change attributes of files. Landlock has no right for these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeCall {
    /// `chmod(path, mode)`
    Chmod,
    /// `fchmod(fd, mode)`
    FChmod,
    /// `fchmodat(folder, path, mode)`
    FChmodAt,
    /// `fchmodat2(folder, path, mode, flags)`
    FChmodAt2,
    /// `chown(path, user, group)`
    Chown,
    /// `lchown(path, user, group)`
    LChown,
    /// `fchown(fd, user, group)`
    FChown,
    /// `fchownat(folder, path, user, group, flags)`
    FChownAt,
    /// `utime(path, times)`
    Utime,
    /// `utimes(path, times)`
    Utimes,
    /// `futimesat(folder, path, times)`
    FUtimesAt,
    /// `utimensat(folder, path, times, flags)`
    UtimensAt,
    /// `setxattr(path, name, value, size, flags)`
    SetXattr,
    /// `lsetxattr`: the same, links not followed
    LSetXattr,
    /// `fsetxattr(fd, name, value, size, flags)`
    FSetXattr,
    /// `removexattr(path, name)`
    RemoveXattr,
    /// `lremovexattr`: the same, links not followed
    LRemoveXattr,
    /// `fremovexattr(fd, name)`
    FRemoveXattr,
}

/// Calls the kernel decides and the supervisor looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// `open(path, flags)`
    Open,
    /// `openat(folder, path, flags)`
    OpenAt,
    /// `creat(path)`
    Creat,
    /// `execve(path, …)`
    Exec,
    /// `execveat(folder, path, …, flags)`
    ExecAt,
    /// `truncate(path, …)`
    Truncate,
    /// `mkdir(path)`
    MakeFolder,
    /// `mkdirat(folder, path)`
    MakeFolderAt,
    /// `mknod(path, mode)`
    MakeNode,
    /// `mknodat(folder, path, mode)`
    MakeNodeAt,
    /// `symlink(text, path)`
    Symlink,
    /// `symlinkat(text, folder, path)`
    SymlinkAt,
    /// `unlink(path)`
    Unlink,
    /// `rmdir(path)`
    RemoveFolder,
    /// `unlinkat(folder, path, flags)`
    UnlinkAt,
    /// `rename(old, new)`
    Rename,
    /// `renameat(folder, old, folder, new)`
    RenameAt,
    /// `renameat2(folder, old, folder, new, flags)`
    RenameAt2,
    /// `link(old, new)`
    Link,
    /// `linkat(folder, old, folder, new, flags)`
    LinkAt,
    /// `kill(pid, signal)`, where the kernel keeps signals inside
    Kill,
}

/// What a notification is for, by its call number alone: a register, so this cannot be forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trapped {
    /// To be performed.
    Mediated(Mediated, &'static str),
    /// To be looked at.
    Observed(Observed, &'static str),
    /// To be let through where the number in a register names somebody of the caller's own.
    ByNumber(&'static str),
    /// To be refused.
    Refused(Refused, &'static str),
}

/// Names for records; one table for filter and dispatch, so that they cannot disagree.
pub(super) const MEDIATED: &[(i64, Mediated, &str)] =
    &[(libc::SYS_connect, Mediated::Connect, "connect"), (libc::SYS_bind, Mediated::Bind, "bind")];

/// Trapped only where it matters who could connect.
pub(super) const MEDIATED_LISTEN: &[(i64, Mediated, &str)] =
    &[(libc::SYS_listen, Mediated::Listen, "listen")];

/// Trapped only where UNIX datagram sockets may exist, or addresses of UDP are judged.
const MEDIATED_SENDS: &[(i64, Mediated, &str)] = &[
    (libc::SYS_sendto, Mediated::Send(SendCall::To), "sendto"),
    (libc::SYS_sendmsg, Mediated::Send(SendCall::Message), "sendmsg"),
    (libc::SYS_sendmmsg, Mediated::Send(SendCall::Messages), "sendmmsg"),
];

/// Trapped only where the kernel has no scope for signals.
pub(super) const MEDIATED_SIGNALS: &[(i64, Mediated, &str)] = &[
    (libc::SYS_kill, Mediated::Signal(SignalCall::Kill), "kill"),
    (libc::SYS_tkill, Mediated::Signal(SignalCall::Tkill), "tkill"),
    (libc::SYS_tgkill, Mediated::Signal(SignalCall::Tgkill), "tgkill"),
    (libc::SYS_rt_sigqueueinfo, Mediated::Signal(SignalCall::Queue), "rt_sigqueueinfo"),
    (libc::SYS_rt_tgsigqueueinfo, Mediated::Signal(SignalCall::ThreadQueue), "rt_tgsigqueueinfo"),
    (libc::SYS_pidfd_send_signal, Mediated::Signal(SignalCall::Pidfd), "pidfd_send_signal"),
];

/// Trapped always: files that are noticed and not opened.
const MEDIATED_NOTICES: &[(i64, Mediated, &str)] = &[
    (libc::SYS_inotify_add_watch, Mediated::Watch, "inotify_add_watch"),
    (libc::SYS_flock, Mediated::Lock, "flock"),
];

const MEDIATED_ATTRIBUTES: &[(i64, AttributeCall, &str)] = &[
    (libc::SYS_fchmod, AttributeCall::FChmod, "fchmod"),
    (libc::SYS_fchmodat, AttributeCall::FChmodAt, "fchmodat"),
    (SYS_FCHMODAT2, AttributeCall::FChmodAt2, "fchmodat2"),
    (libc::SYS_fchown, AttributeCall::FChown, "fchown"),
    (libc::SYS_fchownat, AttributeCall::FChownAt, "fchownat"),
    (libc::SYS_utimensat, AttributeCall::UtimensAt, "utimensat"),
    (libc::SYS_setxattr, AttributeCall::SetXattr, "setxattr"),
    (libc::SYS_lsetxattr, AttributeCall::LSetXattr, "lsetxattr"),
    (libc::SYS_fsetxattr, AttributeCall::FSetXattr, "fsetxattr"),
    (libc::SYS_removexattr, AttributeCall::RemoveXattr, "removexattr"),
    (libc::SYS_lremovexattr, AttributeCall::LRemoveXattr, "lremovexattr"),
    (libc::SYS_fremovexattr, AttributeCall::FRemoveXattr, "fremovexattr"),
];

/// The same number on every architecture (Linux 6.6); not in libc for all of them.
const SYS_FCHMODAT2: i64 = 452;

/// Older forms that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const MEDIATED_ATTRIBUTES_HERE: &[(i64, AttributeCall, &str)] = &[
    (libc::SYS_chmod, AttributeCall::Chmod, "chmod"),
    (libc::SYS_chown, AttributeCall::Chown, "chown"),
    (libc::SYS_lchown, AttributeCall::LChown, "lchown"),
    (libc::SYS_utime, AttributeCall::Utime, "utime"),
    (libc::SYS_utimes, AttributeCall::Utimes, "utimes"),
    (libc::SYS_futimesat, AttributeCall::FUtimesAt, "futimesat"),
];
#[cfg(not(target_arch = "x86_64"))]
const MEDIATED_ATTRIBUTES_HERE: &[(i64, AttributeCall, &str)] = &[];

pub(super) fn attribute_calls() -> impl Iterator<Item = &'static (i64, AttributeCall, &'static str)>
{
    MEDIATED_ATTRIBUTES.iter().chain(MEDIATED_ATTRIBUTES_HERE)
}

const OBSERVED: &[(i64, Observed, &str)] = &[
    (libc::SYS_openat, Observed::OpenAt, "openat"),
    (libc::SYS_execve, Observed::Exec, "execve"),
    (libc::SYS_execveat, Observed::ExecAt, "execveat"),
    (libc::SYS_truncate, Observed::Truncate, "truncate"),
    (libc::SYS_mkdirat, Observed::MakeFolderAt, "mkdirat"),
    (libc::SYS_mknodat, Observed::MakeNodeAt, "mknodat"),
    (libc::SYS_symlinkat, Observed::SymlinkAt, "symlinkat"),
    (libc::SYS_unlinkat, Observed::UnlinkAt, "unlinkat"),
    (libc::SYS_renameat, Observed::RenameAt, "renameat"),
    (libc::SYS_renameat2, Observed::RenameAt2, "renameat2"),
    (libc::SYS_linkat, Observed::LinkAt, "linkat"),
];

/// Older forms that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const OBSERVED_HERE: &[(i64, Observed, &str)] = &[
    (libc::SYS_open, Observed::Open, "open"),
    (libc::SYS_creat, Observed::Creat, "creat"),
    (libc::SYS_mkdir, Observed::MakeFolder, "mkdir"),
    (libc::SYS_mknod, Observed::MakeNode, "mknod"),
    (libc::SYS_symlink, Observed::Symlink, "symlink"),
    (libc::SYS_unlink, Observed::Unlink, "unlink"),
    (libc::SYS_rmdir, Observed::RemoveFolder, "rmdir"),
    (libc::SYS_rename, Observed::Rename, "rename"),
    (libc::SYS_link, Observed::Link, "link"),
];
#[cfg(not(target_arch = "x86_64"))]
const OBSERVED_HERE: &[(i64, Observed, &str)] = &[];

pub(super) fn observed_calls() -> impl Iterator<Item = &'static (i64, Observed, &'static str)> {
    OBSERVED.iter().chain(OBSERVED_HERE)
}

/// What the trapped call `nr` is for; `None` if no filter of ours traps it.
#[must_use]
pub fn trapped(nr: i64, ipc: IpcScope) -> Option<Trapped> {
    if ipc == IpcScope::Kernel && nr == libc::SYS_kill {
        return Some(Trapped::Observed(Observed::Kill, "kill"));
    }
    let mediated = MEDIATED
        .iter()
        .chain(MEDIATED_LISTEN)
        .chain(MEDIATED_SENDS)
        .chain(MEDIATED_SIGNALS)
        .chain(MEDIATED_NOTICES)
        .find(|(n, ..)| *n == nr);
    let attribute = || attribute_calls().find(|(n, ..)| *n == nr);
    let observed = || observed_calls().find(|(n, ..)| *n == nr);
    let by_number = || BY_NUMBER.iter().find(|(n, _)| *n == nr);
    mediated
        .map(|(_, call, name)| Trapped::Mediated(*call, name))
        .or_else(|| {
            attribute().map(|(_, call, name)| Trapped::Mediated(Mediated::Attribute(*call), name))
        })
        .or_else(|| observed().map(|(_, call, name)| Trapped::Observed(*call, name)))
        .or_else(|| by_number().map(|(_, name)| Trapped::ByNumber(name)))
        .or_else(|| refused(nr).map(|(what, name)| Trapped::Refused(what, name)))
}
