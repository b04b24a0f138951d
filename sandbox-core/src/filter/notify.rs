//! Which calls are trapped, and what each trap is for.

use super::refused::{BY_NUMBER, Refused, refused};
use super::{FilterError, Handover, Rules};
use crate::policy::{Mediation, NetworkMode, Observe, Policy};
use seccompiler::{
    SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompRule,
};

/// Calls the supervisor performs on the caller's behalf. There is no way to answer "go on" to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mediated {
    /// `connect(fd, address, length)`
    Connect,
    /// `bind(fd, address, length)`
    Bind,
    /// `listen(fd, backlog)`
    Listen,
    /// `sendto(fd, buffer, length, flags, address, length)`
    SendTo,
    /// `sendmsg(fd, message, flags)`
    SendMsg,
    /// `sendmmsg(fd, messages, count, flags)`
    SendMmsg,
    /// `kill(pid, signal)`
    Kill,
    /// `tkill(tid, signal)`
    Tkill,
    /// `tgkill(tgid, tid, signal)`
    Tgkill,
    /// `rt_sigqueueinfo(pid, signal, info)`
    SigQueue,
    /// `rt_tgsigqueueinfo(tgid, tid, signal, info)`
    ThreadSigQueue,
    /// `pidfd_send_signal(pidfd, signal, info, flags)`
    PidfdSignal,
    /// A change of a mode, an owner, a time or an extended attribute.
    Attribute(AttributeCall),
    /// `inotify_add_watch(fd, path, mask)`
    Watch,
    /// `flock(fd, operation)`, exclusive
    Lock,
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
    /// `openat2(folder, path, how)`
    OpenAt2,
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
const MEDIATED: &[(i64, Mediated, &str)] =
    &[(libc::SYS_connect, Mediated::Connect, "connect"), (libc::SYS_bind, Mediated::Bind, "bind")];

/// Trapped only where it matters who could connect.
const MEDIATED_LISTEN: &[(i64, Mediated, &str)] = &[(libc::SYS_listen, Mediated::Listen, "listen")];

/// Trapped only where UNIX datagram sockets may exist, or addresses of UDP are judged.
const MEDIATED_SENDS: &[(i64, Mediated, &str)] = &[
    (libc::SYS_sendto, Mediated::SendTo, "sendto"),
    (libc::SYS_sendmsg, Mediated::SendMsg, "sendmsg"),
    (libc::SYS_sendmmsg, Mediated::SendMmsg, "sendmmsg"),
];

/// Trapped only where the kernel has no scope for signals.
const MEDIATED_SIGNALS: &[(i64, Mediated, &str)] = &[
    (libc::SYS_kill, Mediated::Kill, "kill"),
    (libc::SYS_tkill, Mediated::Tkill, "tkill"),
    (libc::SYS_tgkill, Mediated::Tgkill, "tgkill"),
    (libc::SYS_rt_sigqueueinfo, Mediated::SigQueue, "rt_sigqueueinfo"),
    (libc::SYS_rt_tgsigqueueinfo, Mediated::ThreadSigQueue, "rt_tgsigqueueinfo"),
    (libc::SYS_pidfd_send_signal, Mediated::PidfdSignal, "pidfd_send_signal"),
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

fn attribute_calls() -> impl Iterator<Item = &'static (i64, AttributeCall, &'static str)> {
    MEDIATED_ATTRIBUTES.iter().chain(MEDIATED_ATTRIBUTES_HERE)
}

const OBSERVED: &[(i64, Observed, &str)] = &[
    (libc::SYS_openat, Observed::OpenAt, "openat"),
    (libc::SYS_openat2, Observed::OpenAt2, "openat2"),
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

/// What the trapped call `nr` is for; `None` if no filter of ours traps it. `scoped`: the kernel
/// keeps signals inside.
#[must_use]
pub fn trapped(nr: i64, scoped: bool) -> Option<Trapped> {
    if scoped && nr == libc::SYS_kill {
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
    let observed = || OBSERVED.iter().chain(OBSERVED_HERE).find(|(n, ..)| *n == nr);
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

/// The rules of the notify program.
pub(super) fn rules(
    policy: &Policy,
    handover: Handover,
    scoped: bool,
) -> Result<Rules, FilterError> {
    let mut rules = Rules::new();
    let paths = policy.unix.mediation == Mediation::Pathname;
    let network = &policy.network;
    if paths || !scoped || network.mode != NetworkMode::None {
        rules.extend(MEDIATED.iter().map(|(nr, ..)| (*nr, Vec::new())));
    }
    if policy.sends_are_mediated(scoped) {
        rules.extend(addressed_sends(handover)?);
    }
    if network.mode.is_closed() || network.listen.is_some() {
        rules.extend(MEDIATED_LISTEN.iter().map(|(nr, ..)| (*nr, Vec::new())));
    }
    if !scoped {
        rules.extend(MEDIATED_SIGNALS.iter().map(|(nr, ..)| (*nr, Vec::new())));
    }
    rules.extend(attribute_calls().map(|(nr, ..)| (*nr, Vec::new())));
    rules.insert(libc::SYS_inotify_add_watch, Vec::new());
    // Shared locks and unlocking keep nobody waiting who only reads.
    let exclusive = u64::from(libc::LOCK_EX.unsigned_abs());
    let exclusive = Condition::new(1, Len::Dword, Op::MaskedEq(exclusive), exclusive)?;
    rules.insert(libc::SYS_flock, vec![SeccompRule::new(vec![exclusive])?]);
    if policy.observe.watches() {
        rules.extend(OBSERVED.iter().chain(OBSERVED_HERE).map(|(nr, ..)| (*nr, Vec::new())));
    }
    if policy.observe != Observe::Off {
        // Already there where the kernel has no scope for signals.
        rules.entry(libc::SYS_kill).or_default();
    }
    match policy.observe {
        Observe::All => rules.extend(all_opens()?),
        Observe::Writes => rules.extend(telling_opens()?),
        // What stays as it is does so whether or not denials are reported.
        Observe::Audit | Observe::Off if !policy.fs.kept.is_empty() => {
            rules.extend(changes().map(|(nr, ..)| (*nr, Vec::new())));
            rules.extend(writing_opens()?);
        }
        Observe::Audit | Observe::Off => {}
    }
    Ok(rules)
}

/// Sends that may carry an address. `sendto` without one is told by its register; the message
/// header of the other two is in memory, so they are trapped whole, with the hand-over exempt.
fn addressed_sends(handover: Handover) -> Result<Rules, FilterError> {
    let fd = u64::from(handover.fd.unsigned_abs()) | (handover.secret & 0xffff_ffff_0000_0000);
    let flags = u64::from(libc::MSG_NOSIGNAL.unsigned_abs()) | (handover.secret << 32);
    let differs = |argument: u8, value: u64| -> Result<SeccompRule, FilterError> {
        Ok(SeccompRule::new(vec![Condition::new(argument, Len::Qword, Op::Ne, value)?])?)
    };
    Ok([
        (libc::SYS_sendto, vec![differs(4, 0)?]),
        (libc::SYS_sendmsg, vec![differs(0, fd)?, differs(2, flags)?]),
        (libc::SYS_sendmmsg, Vec::new()),
    ]
    .into_iter()
    .collect())
}

/// `openat` and, where there is one, `open`: the arguments that hold the folder and the flags.
const OPENS: &[(i64, Option<u8>, u8)] = &[
    (libc::SYS_openat, Some(0), 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, None, 1),
];

/// Every open but those that give no access (`O_PATH`).
fn all_opens() -> Result<Rules, FilterError> {
    OPENS
        .iter()
        .map(|(nr, _, flags)| {
            let no_path = flag(*flags, libc::O_PATH, 0)?;
            Ok((*nr, vec![SeccompRule::new(vec![no_path])?]))
        })
        .collect()
}

/// Watched calls other than executing: those that change something, and opens.
fn changes() -> impl Iterator<Item = &'static (i64, Observed, &'static str)> {
    let executes = |call| matches!(call, Observed::Exec | Observed::ExecAt);
    OBSERVED.iter().chain(OBSERVED_HERE).filter(move |(_, call, _)| !executes(*call))
}

/// Opens that could change something.
fn writing_opens() -> Result<Rules, FilterError> {
    OPENS.iter().map(|(nr, _, flags)| Ok((*nr, changing(*flags)?))).collect()
}

/// The flags of an open that could change something.
fn changing(flags: u8) -> Result<Vec<SeccompRule>, FilterError> {
    [
        (libc::O_ACCMODE, libc::O_WRONLY),
        (libc::O_ACCMODE, libc::O_RDWR),
        (libc::O_CREAT, libc::O_CREAT),
        (libc::O_TRUNC, libc::O_TRUNC),
    ]
    .into_iter()
    .map(|(mask, value)| Ok(SeccompRule::new(vec![flag(flags, mask, value)?])?))
    .collect()
}

/// Opens that could change something, and of those that only read the ones that are few and tell
/// much: by name, of a folder, or with neither `O_CLOEXEC` nor `O_NOCTTY`, as shells, most tools and
/// everything that goes through `fopen` open a file. What starts at a folder that was opened
/// before is a walk through a tree; most language runtimes, loaders and searching programs set
/// `O_CLOEXEC`, compilers and `grep` `O_NOCTTY`. A notification for each of those is what watching
/// all reads costs.
fn telling_opens() -> Result<Rules, FilterError> {
    let cwd = u64::from(libc::AT_FDCWD.cast_unsigned());
    OPENS
        .iter()
        .map(|(nr, folder, flags)| {
            let named = |mask, value| -> Result<SeccompRule, FilterError> {
                let mut conditions = vec![flag(*flags, mask, value)?];
                if let Some(folder) = folder {
                    conditions.push(Condition::new(*folder, Len::Dword, Op::Eq, cwd)?);
                }
                Ok(SeccompRule::new(conditions)?)
            };
            let mut rules = changing(*flags)?;
            rules.push(named(libc::O_CLOEXEC | libc::O_NOCTTY, 0)?);
            rules.push(named(libc::O_DIRECTORY, libc::O_DIRECTORY)?);
            Ok((*nr, rules))
        })
        .collect()
}

/// That the flags under `mask` have this value.
fn flag(argument: u8, mask: libc::c_int, value: libc::c_int) -> Result<Condition, FilterError> {
    let op = Op::MaskedEq(u64::from(mask.cast_unsigned()));
    Ok(Condition::new(argument, Len::Dword, op, u64::from(value.cast_unsigned()))?)
}
