//! The refused calls, by name. One table for the filters and for the records, so that they cannot
//! disagree.

use super::socket;
use crate::register::unsigned;

/// What a refused call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A call that is nobody's in a run.
    Call(Needs),
    /// A step of building a sandbox inside of the sandbox.
    Nested(Needs),
    /// A socket that may not exist.
    Socket,
    /// A device or a group that a socket may not choose.
    Option,
}

/// What a call needs where there is no sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing in particular: without the sandbox it could have worked.
    Nothing,
    /// A capability: an ordinary user is refused without any sandbox.
    Capability,
}

use Needs::{Capability, Nothing};
use Refused::{Call, Nested};

/// `EPERM` whatever the arguments: nothing a build, a test or a language runtime needs.
pub(super) const ALWAYS: &[(i64, &str, Refused)] = &[
    // Other processes: their memory, registers and descriptors.
    (libc::SYS_ptrace, "ptrace", Call(Nothing)),
    (libc::SYS_process_vm_readv, "process_vm_readv", Call(Nothing)),
    (libc::SYS_process_vm_writev, "process_vm_writev", Call(Nothing)),
    (libc::SYS_pidfd_getfd, "pidfd_getfd", Call(Nothing)),
    (libc::SYS_kcmp, "kcmp", Call(Nothing)),
    (libc::SYS_process_madvise, "process_madvise", Call(Nothing)),
    // The mount table and namespaces.
    (libc::SYS_mount, "mount", Nested(Capability)),
    (libc::SYS_umount2, "umount2", Nested(Capability)),
    (libc::SYS_pivot_root, "pivot_root", Nested(Capability)),
    (libc::SYS_chroot, "chroot", Nested(Capability)),
    (libc::SYS_setns, "setns", Nested(Capability)),
    (libc::SYS_open_tree, "open_tree", Nested(Capability)),
    (libc::SYS_move_mount, "move_mount", Nested(Capability)),
    (libc::SYS_fsopen, "fsopen", Nested(Capability)),
    (libc::SYS_fsconfig, "fsconfig", Nested(Capability)),
    (libc::SYS_fsmount, "fsmount", Nested(Capability)),
    (libc::SYS_fspick, "fspick", Nested(Capability)),
    (libc::SYS_mount_setattr, "mount_setattr", Nested(Capability)),
    // Files by handle, past every path.
    (libc::SYS_open_by_handle_at, "open_by_handle_at", Call(Capability)),
    // Keyrings are shared by all processes of a user.
    (libc::SYS_add_key, "add_key", Call(Nothing)),
    (libc::SYS_request_key, "request_key", Call(Nothing)),
    (libc::SYS_keyctl, "keyctl", Call(Nothing)),
    // Kernel attack surface that needs no file.
    (libc::SYS_bpf, "bpf", Call(Nothing)),
    (libc::SYS_perf_event_open, "perf_event_open", Call(Nothing)),
    (libc::SYS_userfaultfd, "userfaultfd", Call(Nothing)),
    (libc::SYS_kexec_load, "kexec_load", Call(Capability)),
    (libc::SYS_kexec_file_load, "kexec_file_load", Call(Capability)),
    (libc::SYS_init_module, "init_module", Call(Capability)),
    (libc::SYS_finit_module, "finit_module", Call(Capability)),
    (libc::SYS_delete_module, "delete_module", Call(Capability)),
    (libc::SYS_reboot, "reboot", Call(Capability)),
    (libc::SYS_swapon, "swapon", Call(Capability)),
    (libc::SYS_swapoff, "swapoff", Call(Capability)),
    (libc::SYS_syslog, "syslog", Call(Nothing)),
    (libc::SYS_acct, "acct", Call(Capability)),
    (libc::SYS_quotactl, "quotactl", Call(Capability)),
    (libc::SYS_quotactl_fd, "quotactl_fd", Call(Capability)),
    (libc::SYS_vhangup, "vhangup", Call(Capability)),
    (libc::SYS_fanotify_init, "fanotify_init", Call(Nothing)),
    // Message queues of the host.
    (libc::SYS_msgget, "msgget", Call(Nothing)),
    (libc::SYS_msgsnd, "msgsnd", Call(Nothing)),
    (libc::SYS_msgrcv, "msgrcv", Call(Nothing)),
    (libc::SYS_msgctl, "msgctl", Call(Nothing)),
    (libc::SYS_mq_open, "mq_open", Call(Nothing)),
    (libc::SYS_mq_unlink, "mq_unlink", Call(Nothing)),
];

/// The same, for calls other architectures do not have.
#[cfg(target_arch = "x86_64")]
pub(super) const ALWAYS_HERE: &[(i64, &str, Refused)] = &[
    (libc::SYS_iopl, "iopl", Call(Capability)),
    (libc::SYS_ioperm, "ioperm", Call(Capability)),
    (libc::SYS_modify_ldt, "modify_ldt", Call(Nothing)),
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALWAYS_HERE: &[(i64, &str, Refused)] = &[];

/// Refused with some arguments; which, `refuse` and `socket` say.
const SOMETIMES: &[(i64, &str, Refused)] = &[
    (libc::SYS_clone, "clone", Nested(Nothing)),
    (libc::SYS_unshare, "unshare", Nested(Nothing)),
    (libc::SYS_seccomp, "seccomp", Nested(Nothing)),
    (libc::SYS_ioctl, "ioctl", Call(Nothing)),
    (libc::SYS_fcntl, "fcntl", Call(Nothing)),
    (libc::SYS_socket, "socket", Refused::Socket),
    (libc::SYS_socketpair, "socketpair", Refused::Socket),
    (libc::SYS_setsockopt, "setsockopt", Refused::Option),
];

/// Limits, priorities and processors of whom a number in a register names. The supervisor says whose
/// that is (`decide/by_number.rs`).
pub(super) const BY_NUMBER: &[(i64, &str)] = &[
    (libc::SYS_prlimit64, "prlimit64"),
    (libc::SYS_sched_setaffinity, "sched_setaffinity"),
    (libc::SYS_sched_setscheduler, "sched_setscheduler"),
    (libc::SYS_sched_setparam, "sched_setparam"),
    (libc::SYS_sched_setattr, "sched_setattr"),
    (libc::SYS_setpriority, "setpriority"),
    (libc::SYS_ioprio_set, "ioprio_set"),
];

/// Whether the call of this name changes limits, priorities or processors of whom it names.
#[must_use]
pub fn is_by_number(name: &str) -> bool {
    BY_NUMBER.iter().any(|(_, known)| *known == name)
}

/// `ENOSYS`: whoever is told has another way. `io_uring_setup` is asked once by a program that
/// wants rings; without a ring nobody gets to the other two.
pub(super) const PROBED: &[(i64, &str, Refused)] =
    &[(libc::SYS_io_uring_setup, "io_uring_setup", Call(Nothing))];

/// What the call `nr` is, if a filter of ours refuses it.
#[must_use]
pub(super) fn refused(nr: i64) -> Option<(Refused, &'static str)> {
    let tables = ALWAYS.iter().chain(ALWAYS_HERE).chain(SOMETIMES).chain(PROBED);
    tables.into_iter().find(|(n, ..)| *n == nr).map(|(_, name, what)| (*what, *name))
}

/// What a refused call gets: a positive errno, told from registers alone.
#[must_use]
pub fn refusal_errno(nr: i64, args: &[u64; 6]) -> i32 {
    match refused(nr) {
        Some((Refused::Socket, _)) => socket::refusal_errno(args),
        _ if PROBED.iter().any(|(n, ..)| *n == nr) => libc::ENOSYS,
        _ => libc::EPERM,
    }
}

/// The name of a refused command for terminals; empty for another one.
fn terminal_command(number: u64) -> &'static str {
    match u64::from(unsigned(number)) {
        libc::TIOCSTI => "TIOCSTI",
        libc::TIOCLINUX => "TIOCLINUX",
        libc::TIOCSETD => "TIOCSETD",
        _ => "",
    }
}

/// The refused call in words, such as `unshare(CLONE_NEWUSER)` or `AF_PACKET socket`.
#[must_use]
pub fn describe(name: &str, what: Refused, nr: i64, args: &[u64; 6]) -> String {
    let flags = match nr {
        libc::SYS_clone | libc::SYS_unshare => match namespaces(args[0]) {
            none if none.is_empty() => own_descriptors(nr, args[0]).to_owned(),
            some => some,
        },
        libc::SYS_setns => namespaces(args[1]),
        libc::SYS_seccomp => "a listener".to_owned(),
        libc::SYS_ioctl => terminal_command(args[1]).to_owned(),
        libc::SYS_setsockopt => socket::option(args).to_owned(),
        _ => String::new(),
    };
    match what {
        Refused::Socket => socket::describe(args),
        _ if flags.is_empty() => name.to_owned(),
        _ => format!("{name}({flags})"),
    }
}

/// Whether a refused call asks for descriptors that are kept in another way than a process does, and
/// for no namespace.
#[must_use]
pub fn is_about_descriptors(nr: i64, args: &[u64; 6]) -> bool {
    namespaces(args[0]).is_empty() && !own_descriptors(nr, args[0]).is_empty()
}

/// What asks for a thread with descriptors of its own, or a process without.
fn own_descriptors(nr: i64, flags: u64) -> &'static str {
    let has = |bit: libc::c_int| flags & u64::from(bit.unsigned_abs()) != 0;
    match nr {
        libc::SYS_clone if has(libc::CLONE_THREAD) && !has(libc::CLONE_FILES) => {
            "CLONE_THREAD without CLONE_FILES"
        }
        libc::SYS_clone if has(libc::CLONE_FILES) && !has(libc::CLONE_THREAD) => {
            "CLONE_FILES without CLONE_THREAD"
        }
        libc::SYS_unshare if has(libc::CLONE_FILES) => "CLONE_FILES",
        _ => "",
    }
}

fn namespaces(flags: u64) -> String {
    const NAMES: &[(libc::c_int, &str)] = &[
        (libc::CLONE_NEWUSER, "CLONE_NEWUSER"),
        (libc::CLONE_NEWNS, "CLONE_NEWNS"),
        (libc::CLONE_NEWPID, "CLONE_NEWPID"),
        (libc::CLONE_NEWNET, "CLONE_NEWNET"),
        (libc::CLONE_NEWIPC, "CLONE_NEWIPC"),
        (libc::CLONE_NEWUTS, "CLONE_NEWUTS"),
        (libc::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
    ];
    let set = NAMES.iter().filter(|(bit, _)| flags & u64::from(bit.unsigned_abs()) != 0);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_errnos() {
        let newuser = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
        let args = [newuser, 0, 0, 0, 0, 0];
        let (what, name) = refused(libc::SYS_unshare).unwrap();
        assert_eq!(describe(name, what, libc::SYS_unshare, &args), "unshare(CLONE_NEWUSER)");
        assert_eq!(refusal_errno(libc::SYS_unshare, &args), libc::EPERM);
        let thread = [u64::from(libc::CLONE_THREAD.unsigned_abs()), 0, 0, 0, 0, 0];
        let (what, name) = refused(libc::SYS_clone).unwrap();
        let told = describe(name, what, libc::SYS_clone, &thread);
        assert_eq!(told, "clone(CLONE_THREAD without CLONE_FILES)");
        let shared = [u64::from(libc::CLONE_FILES.unsigned_abs()), 0, 0, 0, 0, 0];
        let told = describe(name, what, libc::SYS_clone, &shared);
        assert_eq!(told, "clone(CLONE_FILES without CLONE_THREAD)");
        assert!(is_about_descriptors(libc::SYS_clone, &shared));
        assert!(!is_about_descriptors(libc::SYS_unshare, &args));
        assert_eq!(refusal_errno(libc::SYS_io_uring_setup, &args), libc::ENOSYS);
        assert_eq!(refused(libc::SYS_read), None);
        let packet = [17, 3, 0, 0, 0, 0];
        let (what, name) = refused(libc::SYS_socket).unwrap();
        assert_eq!(describe(name, what, libc::SYS_socket, &packet), "AF_PACKET socket");
        assert_eq!(refusal_errno(libc::SYS_socket, &packet), libc::EAFNOSUPPORT);
    }
}
