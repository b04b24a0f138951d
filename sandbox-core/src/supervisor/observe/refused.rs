//! Calls that are refused to everybody: the same answer as from the filter alone, and a record.

use crate::filter::{Needs, Refused, describe, is_about_descriptors, is_internet, is_unix};
use crate::policy::Access;
use crate::record::{Confidence, Kind, Layer, Operation, Reason};
use crate::supervisor::mediate::{Refusal, RefusedCall, Shared};

/// Records the call and refuses it. Nothing that is found can change the answer.
pub(in crate::supervisor) fn refuse(shared: &Shared, call: RefusedCall<'_>) {
    let (data, what, name) = (call.data(), call.what, call.name);
    let (kind, operation, needs) = match what {
        Refused::Call(needs) => (Kind::Syscall, Operation::Call, needs),
        // The same calls, for something else.
        Refused::Nested(needs) if is_about_descriptors(data.nr, &data.args) => {
            (Kind::Syscall, Operation::Call, needs)
        }
        Refused::Nested(needs) => (Kind::NestedSandbox, Operation::Call, needs),
        Refused::Socket if is_internet(&data.args) => {
            (Kind::NetConnect, Operation::Socket, Needs::Nothing)
        }
        Refused::Socket | Refused::Option => (Kind::Socket, Operation::Socket, Needs::Nothing),
    };
    let ordinary = needs == Needs::Capability && !nix::unistd::geteuid().is_root();
    if !ordinary && let Some(caller) = shared.caller(&data) {
        let refusal = Refusal {
            kind,
            operation,
            access: Access::empty(),
            target: describe(name, what, data.nr, &data.args).into_bytes(),
            resolved: None,
            host: None,
            syscall: name,
            errno: call.errno(),
            layer: Layer::Seccomp,
            reason: match kind {
                // Another network mode would allow it.
                Kind::NetConnect => Reason::NoGrant,
                // The profile's switch would.
                Kind::Socket if what == Refused::Socket && is_unix(&data.args) => Reason::NoGrant,
                _ => Reason::NotSupported,
            },
            rule: None,
            confidence: Confidence::Enforced,
        };
        shared.record(&caller, refusal);
    }
    call.refuse();
}
