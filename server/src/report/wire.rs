//! What records say, in the words of results.

use nono_sandbox::record::{self, Kind, Operation};
use nono_schemas::{Access, DenialKind, DeniedOperation, Reason};

/// The part of the sandbox.
pub(super) fn kind(kind: Kind) -> DenialKind {
    match kind {
        Kind::Fs => DenialKind::Fs,
        Kind::UnixSocket => DenialKind::UnixSocket,
        Kind::Exec => DenialKind::Exec,
        Kind::Signal => DenialKind::Signal,
        Kind::NetConnect => DenialKind::NetConnect,
        Kind::NetBind => DenialKind::NetBind,
        Kind::Dns => DenialKind::Dns,
        Kind::NetProxy => DenialKind::NetProxy,
        Kind::Socket => DenialKind::Socket,
        Kind::Syscall => DenialKind::Syscall,
        Kind::NestedSandbox => DenialKind::NestedSandbox,
    }
}

/// Why it was refused.
pub(super) fn reason(reason: record::Reason) -> Reason {
    match reason {
        record::Reason::NoGrant => Reason::NoGrant,
        record::Reason::InsufficientAccess => Reason::InsufficientAccess,
        record::Reason::Denied => Reason::Denied,
        record::Reason::Protected => Reason::Protected,
        record::Reason::NotSupported => Reason::NotSupported,
        record::Reason::MoreRights => Reason::MoreRights,
        record::Reason::NoPlace => Reason::LimitExceeded,
    }
}

/// What was tried.
pub(super) fn operation(operation: Operation) -> DeniedOperation {
    match operation {
        Operation::Read => DeniedOperation::Read,
        Operation::Write => DeniedOperation::Write,
        Operation::Create => DeniedOperation::Create,
        Operation::Delete => DeniedOperation::Delete,
        Operation::Rename => DeniedOperation::Rename,
        Operation::Link => DeniedOperation::Link,
        Operation::Execute => DeniedOperation::Execute,
        Operation::Connect => DeniedOperation::Connect,
        Operation::Bind => DeniedOperation::Bind,
        Operation::Listen => DeniedOperation::Listen,
        Operation::Send => DeniedOperation::Send,
        Operation::Signal => DeniedOperation::Signal,
        Operation::Socket => DeniedOperation::Socket,
        Operation::Call => DeniedOperation::Call,
    }
}

/// The right an operation needs.
pub(super) fn access(operation: Operation) -> Access {
    match operation {
        Operation::Read => Access::Read,
        Operation::Write
        | Operation::Create
        | Operation::Delete
        | Operation::Rename
        | Operation::Link => Access::Write,
        Operation::Execute => Access::Execute,
        Operation::Connect | Operation::Send => Access::Connect,
        Operation::Bind | Operation::Listen => Access::Bind,
        Operation::Signal => Access::Signal,
        Operation::Socket | Operation::Call => Access::Call,
    }
}
