//! Which calls are trapped, and with which arguments.

use super::trapped::{
    MEDIATED, MEDIATED_LISTEN, MEDIATED_SIGNALS, Observed, attribute_calls, observed_calls,
};
use super::{FilterError, Handover, Rules};
use crate::IpcScope;
use crate::policy::{Mediation, NetworkMode, Observe, Policy};
use seccompiler::{
    SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompRule,
};

/// The rules of the notify program.
pub(super) fn rules(
    policy: &Policy,
    handover: Handover,
    ipc: IpcScope,
) -> Result<Rules, FilterError> {
    let mut rules = Rules::new();
    let paths = policy.unix.mediation == Mediation::Pathname;
    let network = &policy.network;
    if paths || ipc == IpcScope::Mediated || network.mode != NetworkMode::None {
        rules.extend(whole(MEDIATED));
    }
    if network.mode != NetworkMode::None {
        rules.extend(super::socket::sharing()?);
    }
    if policy.sends_are_mediated(ipc) {
        rules.extend(addressed_sends(handover)?);
    }
    if network.mode.is_closed() || network.listen.is_some() {
        rules.extend(whole(MEDIATED_LISTEN));
    }
    if ipc == IpcScope::Mediated {
        rules.extend(whole(MEDIATED_SIGNALS));
    }
    rules.extend(whole(attribute_calls()));
    rules.insert(libc::SYS_inotify_add_watch, Vec::new());
    // Shared locks and unlocking keep nobody waiting who only reads.
    let exclusive = u64::from(libc::LOCK_EX.unsigned_abs());
    let exclusive = Condition::new(1, Len::Dword, Op::MaskedEq(exclusive), exclusive)?;
    rules.insert(libc::SYS_flock, vec![SeccompRule::new(vec![exclusive])?]);
    if policy.observe.watches() {
        rules.extend(whole(observed_calls()));
    }
    if policy.observe != Observe::Off {
        // Already there where the kernel has no scope for signals.
        rules.entry(libc::SYS_kill).or_default();
    }
    match policy.observe {
        Observe::All => rules.extend(all_opens()?),
        Observe::Writes => rules.extend(telling_opens()?),
        // What stays as it is does so whether or not denials are reported.
        Observe::Audit | Observe::Off if !policy.fs.protected.is_empty() => {
            rules.extend(whole(changes()));
            rules.extend(writing_opens()?);
        }
        Observe::Audit | Observe::Off => {}
    }
    Ok(rules)
}

/// Calls that are trapped whatever their arguments are.
fn whole<Call: 'static>(
    calls: impl IntoIterator<Item = &'static (i64, Call, &'static str)>,
) -> impl Iterator<Item = (i64, Vec<SeccompRule>)> {
    calls.into_iter().map(|(nr, ..)| (*nr, Vec::new()))
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
pub(super) const OPENS: &[(i64, Option<u8>, u8)] = &[
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
    observed_calls().filter(move |(_, call, _)| !executes(*call))
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
/// much: by name, of a folder, or with none of `O_CLOEXEC`, `O_NOCTTY` and `O_NOFOLLOW`, as shells,
/// most tools and everything that goes through `fopen` open a file. What starts at a folder that was
/// opened before is a walk through a tree, and so is what is copied with `O_NOFOLLOW`; most language
/// runtimes, loaders and searching programs set `O_CLOEXEC`, compilers and `grep` `O_NOCTTY`. A
/// notification for each of those is what watching all reads costs.
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
            rules.push(named(libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NOFOLLOW, 0)?);
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
