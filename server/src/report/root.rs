//! What programs say that count on the rights root usually has. A server that root starts gives its
//! commands none of root's capabilities: they are root by name, and ordinary by right.

use super::known::Known;
use nono_sandbox::policy::Observe;
use nono_sandbox::record::Kind;

/// What is said, what must be known, and what it really means.
type Entry = (&'static [&'static str], fn(Known<'_>, &str) -> bool, &'static str);

/// Only for commands of root.
const AS_ROOT: &[Entry] = &[
    (
        &[
            "failed to preserve ownership",
            "cannot change ownership of",
            "changing ownership of",
            "changing group of",
            "Cannot change ownership to",
            "operation not permitted, chown",
            "operation not permitted, lchown",
            "Operation not permitted @ apply2files",
        ],
        |_, _| true,
        "commands run as root without root's capabilities, so no file can be given to another \
         owner; cp: --no-preserve=ownership, install and make: leave the owner out, rsync: \
         --no-owner --no-group",
    ),
    (
        &[
            "cannot create",
            "cannot touch",
            "cannot remove",
            "cannot move",
            "unable to create",
            "unable to unlink",
            "insufficient permission for adding",
            "npm error code EACCES",
        ],
        // Whatever changes something is watched, so without a record it was not the sandbox.
        |known, said| {
            let refused = ["ermission denied", "EACCES", "insufficient permission"];
            known.denials.is_empty()
                && known.policy.observe != Observe::Off
                && refused.iter().any(|word| said.contains(word))
        },
        "the sandbox refused nothing here: commands run as root without root's capabilities, so \
         the permissions of files that belong to others hold for them; the operator can start the \
         server with --run-as and the owner of these files",
    ),
];

/// For everybody.
const ALWAYS: &[Entry] = &[
    (
        &["detected dubious ownership in repository"],
        |known, _| known.policy.environment.variables.contains_key("GIT_CONFIG_KEY_0"),
        "git reads repositories of other users here, but asks one it clones or fetches from \
         without that setting: --upload-pack='git -c safe.directory=* upload-pack'",
    ),
    (
        &[
            "su: Critical error",
            "su: Authentication failure",
            "su: cannot set",
            "su: must be suid",
            "sudo: The \"no new privileges\" flag is set",
            "effective uid is not 0",
            "sudo: PERM_SUDOERS",
            "sudo: no valid sudoers sources",
            "sudo: unable to initialize policy plugin",
            "must be setuid root",
            "setpriv: setresuid failed",
            "setpriv: keep process capabilities failed",
        ],
        |_, _| true,
        "no command becomes another user in the sandbox, and no grant changes that: su, sudo and \
         set-user-id bits have no effect; run the command itself without them",
    ),
    (
        &[
            "crontabs/",
            "/var/spool/cron/: mkstemp",
            "permission to use at",
            "/var/spool/cron/atjobs",
        ],
        |_, _| true,
        "crontab and at leave a command to a service that runs it outside, by a right of their own \
         that no command has here, and no grant changes that: schedule it outside of the sandbox",
    ),
    (
        &["ping: Operation not permitted", "ping: socket: Operation not permitted"],
        |_, _| true,
        "ping takes a capability or raw sockets, which no command has; to see whether a server \
         answers, connect to it (curl, nc)",
    ),
    (
        &["fakeroot, while creating message channels"],
        |known, _| known.denials.iter().any(|d| d.kind == Kind::Syscall && d.target == b"msgget"),
        "fakeroot talks by System V messages, which no command may make; fakeroot-tcp does the \
         same over loopback, and dpkg-deb --root-owner-group needs neither",
    ),
    (
        &[
            "Could not open lock file /var/lib/dpkg",
            "Could not open lock file /var/lib/apt",
            "Could not open lock file /var/cache/apt",
            "Unable to acquire the dpkg frontend lock",
            "requested operation requires superuser privilege",
            "Unable to lock database",
        ],
        |_, _| true,
        "the system's packages cannot be changed from inside the sandbox: ask the operator to \
         install them, or unpack one that is there in the workspace (dpkg-deb -x)",
    ),
];

/// Explanations, each once.
pub(super) fn notes<'k>(known: Known<'k>, said: &'k str) -> impl Iterator<Item = String> + 'k {
    let as_root = if known.as_root { AS_ROOT } else { &[] };
    let fits = move |(words, test, _): &&Entry| {
        words.iter().any(|w| said.contains(w)) && test(known, said)
    };
    as_root.iter().chain(ALWAYS).filter(fits).map(|(.., means)| (*means).to_owned())
}
