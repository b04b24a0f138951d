//! Denial records: what was refused, by what, and how that is known. Pure.

mod kernel;
mod log;

pub use kernel::KernelRefusal;
pub use log::{DenialLog, Recorder};

use crate::policy::{Access, Lookup, Source};
use serde::{Deserialize, Serialize};

/// Which part of the sandbox a denial belongs to; decides which family of grants could allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A file or folder.
    Fs,
    /// An AF_UNIX socket.
    UnixSocket,
    /// Starting a program.
    Exec,
    /// A signal to a process outside.
    Signal,
    /// Connecting or sending to an address.
    NetConnect,
    /// Binding an address, or listening at one.
    NetBind,
    /// Asking a name server.
    Dns,
    /// A host that the run's proxy was asked for.
    NetProxy,
    /// A socket of a family, type or protocol that may not exist here.
    Socket,
    /// A system call that no command may make, or one about limits, priority or processors of
    /// somebody else.
    Syscall,
    /// A sandbox inside of the sandbox: namespaces, mounts, a seccomp listener.
    NestedSandbox,
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Open, read or list.
    Read,
    /// Open for writing, truncate.
    Write,
    /// Create a file, folder, link or node.
    Create,
    /// Remove.
    Delete,
    /// Rename.
    Rename,
    /// Make a hard link.
    Link,
    /// Execute.
    Execute,
    /// Connect a socket.
    Connect,
    /// Bind a socket.
    Bind,
    /// Accept connections.
    Listen,
    /// Send to an address.
    Send,
    /// Send a signal.
    Signal,
    /// Make a socket.
    Socket,
    /// Make a system call.
    Call,
}

/// Which layer refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// The supervisor, at the point of decision.
    Mediation,
    /// The Landlock rule set.
    Landlock,
    /// The fixed seccomp rules.
    Seccomp,
    /// The run's proxy.
    Proxy,
}

/// Why it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing in the profile covers the target.
    NoGrant,
    /// The profile covers the target, without this access.
    InsufficientAccess,
    /// The target is denied, by the profile, which no grant undoes, or because it is the server's.
    Denied,
    /// The profile lets the tree be written and keeps this in it as it is.
    Protected,
    /// The sandbox cannot judge this and so refuses it (unreadable memory, abstract socket across
    /// the edge, a refused system call).
    NotSupported,
    /// Where the file would go, the rules give more rights than where it is, so moving it would
    /// widen the sandbox. The kernel answers `EXDEV`.
    MoreRights,
    /// The run's proxy has no place for another connection of it.
    NoPlace,
}

impl Reason {
    /// Why the rules refuse, and the nearest of them; `None` if they do not.
    #[must_use]
    pub fn of(answer: Lookup<'_>) -> Option<(Self, Option<&Source>)> {
        match answer {
            Lookup::Allowed => None,
            Lookup::NoGrant => Some((Self::NoGrant, None)),
            Lookup::InsufficientAccess(rule) => {
                Some((Self::InsufficientAccess, Some(&rule.source)))
            }
            Lookup::Denied(by) => Some((Self::Denied, by.source.as_ref())),
            Lookup::Protected(protected) => Some((Self::Protected, Some(&protected.source))),
        }
    }
}

/// How a record is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Confidence {
    /// The supervisor made this decision itself.
    Enforced,
    /// The supervisor saw the call, and the rules the kernel enforces refuse it; the target exists
    /// (or could have been created) and ordinary permissions would have allowed it.
    Observed,
    /// The kernel's audit log says that Landlock refused it to the run, and the rules do.
    Audit,
    /// Nobody saw the call. The program says that it was refused, and the rest is as for
    /// `Observed`.
    Inferred,
}

/// One refused thing, folded over its repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Part of the sandbox.
    pub kind: Kind,
    /// What was attempted.
    pub operation: Operation,
    /// What the rules would have to give on the target; empty where no rule can.
    pub access: Access,
    /// The target as the program gave it: hostile bytes, to be made safe before anyone reads them.
    /// An abstract socket starts with `@`. Words of ours where there is no name: `process 7`,
    /// `AF_PACKET socket`, `unshare(CLONE_NEWUSER)`.
    pub target: Vec<u8>,
    /// After symbolic links and the working directory, where it could be resolved.
    pub resolved: Option<Vec<u8>>,
    /// The name a name server was asked for, where the question was seen; the program's spelling.
    pub host: Option<Vec<u8>>,
    /// Name of the system call.
    pub syscall: String,
    /// What the program saw, as a positive errno.
    pub errno: i32,
    /// Process (thread group) of the first occurrence.
    pub pid: i32,
    /// Its executable, empty if it could not be read.
    pub exe: Vec<u8>,
    /// Layer that refused.
    pub layer: Layer,
    /// Why.
    pub reason: Reason,
    /// The nearest rule, if one covers the target at all; what closes it, if a profile does.
    pub rule: Option<Source>,
    /// How it is known.
    pub confidence: Confidence,
    /// How often, including the first.
    pub count: u64,
    /// Milliseconds after the start of the run: first occurrence.
    pub first_ms: u64,
    /// Milliseconds after the start of the run: last occurrence.
    pub last_ms: u64,
}
