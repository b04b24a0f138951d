//! Calls that are refused whatever their caller is.

use super::notify::OPENS;
use super::refused::{ALWAYS, ALWAYS_HERE, PROBED};
use super::{Answer, FilterError, Rules};
use crate::IpcScope;
use seccompiler::{
    SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompRule,
};

/// `ENOSYS`, and nobody is told: every thread of every program asks for the first one.
const ABSENT: &[i64] = &[
    // Flags are in memory, so namespaces could not be kept out; libc falls back to `clone`.
    libc::SYS_clone3,
    // The same of opening; whoever uses it has a way for kernels before 5.6.
    libc::SYS_openat2,
    // Sockets by ring, past every filter (closed for all uses: the ring is shared memory).
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Attributes of files, newer than the calls that are mediated; libraries fall back on those.
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
    // A mount call newer than those that are refused and told.
    SYS_OPEN_TREE_ATTR,
];

// The same numbers on every architecture; not yet in libc (Linux 6.13, 6.13, 6.17, 6.15).
const SYS_SETXATTRAT: i64 = 463;
const SYS_REMOVEXATTRAT: i64 = 466;
const SYS_FILE_SETATTR: i64 = 469;
const SYS_OPEN_TREE_ATTR: i64 = 467;

/// Namespace flags of `clone` and `unshare` (clone(2)), newest last.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// Only for `unshare`: in `clone` the same bit belongs to the exit signal.
const CLONE_NEWTIME: u64 = 0x80;

/// Terminal input forged for whoever reads the terminal next, and line disciplines of one's own
/// choice: drivers that nothing here has a use for (ioctl_tty(2)).
const TERMINAL_COMMANDS: &[u64] = &[libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// `EOPNOTSUPP`, as on a file system without such things: what changes a file, or makes and removes
/// one, and takes no more than a descriptor that is open for reading.
const FILE_COMMANDS: &[u64] = &[
    // Flags, generation, encryption, verity (linux/fs.h, linux/fscrypt.h, linux/fsverity.h).
    0x4008_6602,
    0x401c_5820,
    0x4008_7602,
    0x800c_6613,
    0x4080_6685,
    // Keys of encrypted files, which are the whole file system's: FS_IOC_ADD_ENCRYPTION_KEY,
    // REMOVE_ENCRYPTION_KEY, REMOVE_ENCRYPTION_KEY_ALL_USERS (linux/fscrypt.h).
    0xc050_6617,
    0xc040_6618,
    0xc040_6619,
    // FAT_IOCTL_SET_ATTRIBUTES (linux/msdos_fs.h).
    0x4004_7211,
    // The generation by its older number, the form of a file, blocks and caches of ext4
    // (fs/ext4/ext4.h).
    0x4008_6604,
    0x6609,
    0x660c,
    0x6628,
    // btrfs (linux/btrfs.h): SNAP_CREATE, DEFRAG, SUBVOL_CREATE, SNAP_DESTROY, SNAP_CREATE_V2,
    // SUBVOL_CREATE_V2, SNAP_DESTROY_V2, DEFRAG_RANGE, SUBVOL_SETFLAGS, SET_RECEIVED_SUBVOL.
    0x5000_9401,
    0x5000_9402,
    0x5000_940e,
    0x5000_940f,
    0x5000_9417,
    0x5000_9418,
    0x5000_943f,
    0x4030_9410,
    0x4008_941a,
    0xc0c8_9425,
];

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, FilterError> {
    Ok(SeccompRule::new(conditions)?)
}

/// The kernel takes the flags of `clone` and `unshare` for 32 bits.
fn flag(argument: u8, bit: u64) -> Result<SeccompRule, FilterError> {
    rule(vec![Condition::new(argument, Len::Dword, Op::MaskedEq(bit), bit)?])
}

/// What is refused without a word.
pub(super) fn silent() -> Result<Vec<(Rules, Answer)>, FilterError> {
    let absent = ABSENT.iter().map(|nr| (*nr, Vec::new())).collect();
    Ok(vec![
        (absent, Answer::errno(libc::ENOSYS)),
        (file_commands()?, Answer::errno(libc::EOPNOTSUPP)),
        (hints()?, Answer::errno(libc::EINVAL)),
        (neither_way()?, Answer::errno(libc::EINVAL)),
        (own_table()?, Answer::errno(libc::EINVAL)),
        (pretended()?, Answer::errno(0)),
    ])
}

/// What is refused and worth telling: notifications. The calls are rare, and what is allowed passes
/// as before.
pub(super) fn told(ipc: IpcScope) -> Result<[Rules; 2], FilterError> {
    let probed = PROBED.iter().map(|(nr, ..)| (*nr, Vec::new())).collect();
    Ok([probed, refused(ipc)?])
}

fn refused(ipc: IpcScope) -> Result<Rules, FilterError> {
    let mut rules: Rules =
        ALWAYS.iter().chain(ALWAYS_HERE).map(|(nr, ..)| (*nr, Vec::new())).collect();
    let namespaces = || NAMESPACES.iter().map(|bit| u64::from(bit.unsigned_abs()));
    // The threads of a process use its descriptors, and nobody else does: before Linux 6.9 the
    // supervisor finds them by process, and of a process with one thread it knows that none of them
    // becomes another one while that waits.
    let files = u64::from(libc::CLONE_FILES.unsigned_abs());
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let one_of_both = |bit| Condition::new(0, Len::Dword, Op::MaskedEq(thread | files), bit);
    let mut clone: Vec<_> = namespaces().map(|bit| flag(0, bit)).collect::<Result<_, _>>()?;
    for bit in [thread, files] {
        clone.push(rule(vec![one_of_both(bit)?])?);
    }
    rules.insert(libc::SYS_clone, clone);
    rules.insert(
        libc::SYS_unshare,
        namespaces().chain([CLONE_NEWTIME, files]).map(|b| flag(0, b)).collect::<Result<_, _>>()?,
    );
    // The kernel looks at the lower 32 bits of an ioctl number, so the rule does too.
    let terminal = TERMINAL_COMMANDS
        .iter()
        .map(|command| rule(vec![Condition::new(1, Len::Dword, Op::Eq, *command)?]))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, terminal);
    leases(&mut rules)?;
    if ipc == IpcScope::Mediated {
        owners(&mut rules)?;
    }
    // A listener of the program's own: the newest filter's listener answers first, so it could let
    // its own `connect` through.
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    rules.insert(
        libc::SYS_seccomp,
        vec![rule(vec![
            Condition::new(0, Len::Dword, Op::Eq, libc::SECCOMP_SET_MODE_FILTER.into())?,
            Condition::new(1, Len::Qword, Op::MaskedEq(listener), listener)?,
        ])?],
    );
    by_number(&mut rules)?;
    Ok(rules)
}

fn file_commands() -> Result<Rules, FilterError> {
    let commands = FILE_COMMANDS
        .iter()
        .map(|command| rule(vec![Condition::new(1, Len::Dword, Op::Eq, *command)?]))
        .collect::<Result<_, _>>()?;
    Ok([(libc::SYS_ioctl, commands)].into_iter().collect())
}

/// How long what is written to a file will live: kept with the file, and set with a descriptor that
/// is open for reading (fcntl(2)). The errno is that of a kernel without it. `F_SET_FILE_RW_HINT`,
/// which is about one descriptor, does nothing since Linux 5.17.
fn hints() -> Result<Rules, FilterError> {
    const F_SET_RW_HINT: u64 = 1036;
    let set = Condition::new(1, Len::Dword, Op::Eq, F_SET_RW_HINT)?;
    Ok([(libc::SYS_fcntl, vec![rule(vec![set])?])].into_iter().collect())
}

/// Opening for neither reading nor writing, with access mode 3 (open(2)): Landlock sees no access in it
/// and lets anything be opened, device drivers included (`get_required_file_open_access` in
/// security/landlock/fs.c).
fn neither_way() -> Result<Rules, FilterError> {
    let mask = (libc::O_ACCMODE | libc::O_PATH).cast_unsigned();
    let mode = u64::from(libc::O_ACCMODE.cast_unsigned());
    let opens = OPENS.iter().map(|(nr, _, flags)| {
        let neither = Condition::new(*flags, Len::Dword, Op::MaskedEq(mask.into()), mode)?;
        Ok((*nr, vec![rule(vec![neither])?]))
    });
    opens.collect()
}

/// Closing descriptors in a table of the thread's own (close_range(2)), like `unshare` with
/// `CLONE_FILES`. The errno is that of a kernel without the flag.
fn own_table() -> Result<Rules, FilterError> {
    let unshare = u64::from(libc::CLOSE_RANGE_UNSHARE);
    Ok([(libc::SYS_close_range, vec![flag(2, unshare)?])].into_iter().collect())
}

/// Limits, priorities and processors of whom a number names: processes of the same user among them,
/// which Landlock does not guard. A thread that means itself by 0 is nobody's business; who a number
/// is, the supervisor knows.
fn by_number(rules: &mut Rules) -> Result<(), FilterError> {
    /// sys/resource.h and linux/ioprio.h.
    const PRIO_PROCESS: u64 = 0;
    const IOPRIO_WHO_PROCESS: u64 = 1;
    let unless = |argument, value| rule(vec![Condition::new(argument, Len::Dword, Op::Ne, value)?]);
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
    ] {
        rules.insert(call, vec![unless(0, 0)?]);
    }
    // The first argument says what the second is. For a group or a user, 0 is not only oneself.
    rules.insert(libc::SYS_setpriority, vec![unless(0, PRIO_PROCESS)?, unless(1, 0)?]);
    rules.insert(libc::SYS_ioprio_set, vec![unless(0, IOPRIO_WHO_PROCESS)?, unless(1, 0)?]);
    Ok(())
}

/// A lease makes whoever opens a file wait for its holder, and takes no more than a file of one's
/// own that may be read; a delegation (Linux 6.19) does the same for a folder as well. The older form
/// of inotify is beside them (fcntl(2)).
fn leases(rules: &mut Rules) -> Result<(), FilterError> {
    const F_SETLEASE: u64 = 1024;
    const F_NOTIFY: u64 = 1026;
    const F_SETDELEG: u64 = 1040;
    for command in [F_SETLEASE, F_NOTIFY, F_SETDELEG] {
        let equal = Condition::new(1, Len::Dword, Op::Eq, command)?;
        rules.entry(libc::SYS_fcntl).or_default().push(rule(vec![equal])?);
    }
    Ok(())
}

/// A descriptor's owner gets a signal of the program's choice from the kernel, whoever it is. Only
/// where no Landlock scope looks at that.
fn owners(rules: &mut Rules) -> Result<(), FilterError> {
    /// asm-generic/fcntl.h and asm-generic/sockios.h; not all in libc.
    const F_SETOWN: u64 = 8;
    const F_SETSIG: u64 = 10;
    const F_SETOWN_EX: u64 = 15;
    const FIOSETOWN: u64 = 0x8901;
    const SIOCSPGRP: u64 = 0x8902;
    let equal = |value: u64| rule(vec![Condition::new(1, Len::Dword, Op::Eq, value)?]);
    for command in [F_SETOWN, F_SETSIG, F_SETOWN_EX] {
        rules.entry(libc::SYS_fcntl).or_default().push(equal(command)?);
    }
    for command in [FIOSETOWN, SIOCSPGRP] {
        rules.entry(libc::SYS_ioctl).or_default().push(equal(command)?);
    }
    Ok(())
}

/// Answered with success and not done.
///
/// A process that makes itself undumpable hides its memory from the supervisor, which then could
/// not read its addresses and would have to refuse its sockets (ssh-agent does this at its start).
/// Inside the sandbox the flag protects nothing: no process here may trace another one.
fn pretended() -> Result<Rules, FilterError> {
    let dumpable = u64::from(libc::PR_SET_DUMPABLE.unsigned_abs());
    let rules = vec![rule(vec![Condition::new(0, Len::Dword, Op::Eq, dumpable)?])?];
    Ok([(libc::SYS_prctl, rules)].into_iter().collect())
}
