//! Calls about limits, priorities and processors of whom a number names. Nothing of them is judged by
//! what is in memory, so the kernel may go on with one.

use crate::decide::{
    ByNumber, Numbers, OwnNumbers, Subject, by_number, describe_by_number, subject,
};
use crate::record::{Kind, Operation, Reason};
use crate::supervisor::mediate::{ByNumberCall, Caller, Refusal, Shared, is_of_user};
use nix::errno::Errno;
use nix::unistd::{getpgrp, getpid};

/// Lets the call go on where it is about the caller's own, and refuses it elsewhere.
pub(in crate::supervisor) fn judge(shared: &Shared, call: ByNumberCall<'_>) {
    let data = call.data();
    let Some(caller) = shared.caller(&data) else { return drop(call) };
    let Ok(process) = caller.process() else { return drop(call) };
    let own = shared
        .own_numbers
        .then(|| OwnNumbers { supervisor: getpid().as_raw(), group: getpgrp().as_raw() });
    let named = subject(data.nr, &data.args);
    match by_number(named, Numbers { thread: caller.tid(), process, own }, process_of) {
        ByNumber::GoOn => call.go_on(),
        ByNumber::NoSuch => call.refuse(Errno::ESRCH),
        ByNumber::Refuse => {
            record(shared, &caller, named, call.name);
            call.refuse(Errno::EPERM);
        }
    }
}

/// The process that a thread is of; `None` if there is no such thread.
fn process_of(task: i32) -> Option<i32> {
    Caller::status_of(task).ok().map(|status| status.tgid)
}

/// Records what would have been allowed without the sandbox: whose it is, is the user's own.
fn record(shared: &Shared, caller: &Caller<'_>, named: Subject, syscall: &'static str) {
    if matches!(named, Subject::Task(task) if !is_of_user(task)) {
        return;
    }
    let target = describe_by_number(syscall, named).into_bytes();
    let what = (Kind::Syscall, Operation::Call);
    let refusal = Refusal::mediated(what, target, syscall, (Reason::NotSupported, None));
    shared.record(caller, Refusal { errno: Errno::EPERM, ..refusal });
}
