//! Mediation: calls decided and performed here, on the caller's behalf (requirements U and R).
//!
//! For each: read the address **once**, duplicate the descriptor, ask *it* what it is, check that
//! the caller still waits, decide with `crate::decide`, act on the duplicate with the copied
//! bytes, record, answer. The program can change its memory, its descriptors and the file system
//! under the path at any point in between; none of that is looked at twice.

mod attributes;
mod bind;
mod blocking;
mod caller;
mod connect;
mod leader;
mod listener;
mod network;
mod notice;
mod own_socket;
pub(super) mod pinned;
pub(super) mod place;
mod ports_of_others;
mod private_name;
mod proxy;
mod request;
pub(super) mod resolve;
mod send;
mod shared_ports;
mod signal;
mod token_queue;
mod turn;

pub(in crate::supervisor) use caller::Caller;
pub(in crate::supervisor) use listener::{ByNumberCall, ObservedCall, RefusedCall};
pub(in crate::supervisor) use request::unreadable;
pub(in crate::supervisor) use signal::{is_of_user, is_ours, record_foreign};

use crate::IpcScope;
use crate::plan::{Basis, Plan};
use crate::policy::{Access, FsIndex, FsPolicy, Policy, Source};
use crate::rate::{Bucket, MediationMode};
use crate::record::{Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason, Recorder};
use crate::supervisor::isolate::FirstProcess;
use crate::supervisor::observe;
use crate::sys::NotificationData;
use leader::{FirstLeader, Leadership};
use listener::Listener;
use nix::errno::Errno;
use private_name::PrivateNames;
use shared_ports::SharedPorts;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all mediating threads of a run share.
#[derive(Debug)]
pub(in crate::supervisor) struct Shared {
    basis: Arc<Basis>,
    index: FsIndex,
    names: PrivateNames,
    listener: Listener,
    ipc: IpcScope,
    /// Whether processes of this run have numbers that nobody outside has.
    pub(in crate::supervisor) own_numbers: bool,
    /// Where connections to the proxy go, if the run has one.
    proxy: Option<OwnedFd>,
    ports: SharedPorts,
    bucket: Bucket,
    /// Which calls spend a token.
    charged: MediationMode,
    recorder: Mutex<Recorder>,
    leadership: Leadership,
    started: Instant,
    /// Whether a program was started whose reads are not all seen.
    reads_unseen: AtomicBool,
}

/// A mediating side that is ready and has nothing to answer yet. The child that is to become the
/// command confines itself meanwhile, so none of this costs any time.
#[derive(Debug)]
pub(super) struct Waiting {
    index: FsIndex,
    names: PrivateNames,
    first: FirstLeader,
    leadership: Leadership,
}

/// The mediating side of a running command.
#[derive(Debug)]
pub(super) struct Mediator(Arc<Shared>);

impl Waiting {
    /// Gets ready. There are threads afterwards, so nothing is forked any more.
    pub(super) fn new(policy: &FsPolicy) -> std::io::Result<Self> {
        crate::sys::watch_interrupts()?;
        pinned::enter()?;
        let (index, names) = (FsIndex::new(policy), PrivateNames::new()?);
        Ok(Self { index, names, leadership: Leadership::new()?, first: FirstLeader::spawn()? })
    }

    /// Starts answering. `first`: proof that the run has a process namespace.
    pub(super) fn start(
        self,
        plan: &Plan,
        listener: OwnedFd,
        ipc: IpcScope,
        first: Option<FirstProcess>,
        proxy: Option<OwnedFd>,
    ) -> Mediator {
        let shared = Arc::new(Shared {
            basis: Arc::clone(&plan.basis),
            index: self.index,
            names: self.names,
            listener: Listener::new(listener, ipc, plan.basis.policy.network.ties_datagrams()),
            ipc,
            own_numbers: first.is_some(),
            proxy,
            ports: SharedPorts::default(),
            bucket: Bucket::new(plan.basis.policy.rate),
            charged: plan.basis.policy.network.mode.charged(),
            recorder: Mutex::default(),
            leadership: self.leadership,
            started: Instant::now(),
            reads_unseen: AtomicBool::new(false),
        });
        self.first.lead(&shared);
        Mediator(shared)
    }
}

impl Mediator {
    /// How long the main loop may sleep: `most`, or less while calls are blocking.
    pub(super) fn next_check(&self, most: Duration) -> Duration {
        self.0.leadership.next_check().map_or(most, |soon| soon.min(most))
    }

    /// Readable when a call may have been blocking for a while.
    pub(super) fn stalled_fd(&self) -> BorrowedFd<'_> {
        self.0.leadership.stalled_fd()
    }

    /// Puts a stand-in in the place of a leader that is stuck in a call, and releases helpers
    /// whose callers were interrupted or died.
    pub(super) fn check(&self, stalled: bool) {
        blocking::check(&self.0, stalled);
    }

    /// The records so far.
    pub(super) fn so_far(&self) -> (DenialLog, u64) {
        (lock(&self.0.recorder).log().clone(), self.0.leadership.slowed())
    }

    /// Whether a program was started whose reads are not all seen.
    pub(super) fn reads_unseen(&self) -> bool {
        self.0.reads_unseen.load(Ordering::Relaxed)
    }

    /// The records, once every call that was answered has been recorded too.
    pub(super) fn finish(self) -> (DenialLog, u64) {
        self.0.leadership.wait_until_idle(|| self.check(false));
        let recorder = std::mem::take(&mut *lock(&self.0.recorder));
        (recorder.into_log(), self.0.leadership.slowed())
    }
}

/// A panic ends the process, so a poisoned lock is never seen; if it were, its data is whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is refused, before it is known who asked.
#[derive(Debug)]
pub(in crate::supervisor) struct Refusal<'p> {
    pub(in crate::supervisor) kind: Kind,
    pub(in crate::supervisor) operation: Operation,
    /// What the rules would have to give; empty where no rule can.
    pub(in crate::supervisor) access: Access,
    pub(in crate::supervisor) target: Vec<u8>,
    pub(in crate::supervisor) resolved: Option<Vec<u8>>,
    pub(in crate::supervisor) host: Option<Vec<u8>>,
    pub(in crate::supervisor) syscall: &'static str,
    pub(in crate::supervisor) errno: Errno,
    pub(in crate::supervisor) layer: Layer,
    pub(in crate::supervisor) reason: Reason,
    pub(in crate::supervisor) rule: Option<&'p Source>,
    pub(in crate::supervisor) confidence: Confidence,
}

impl<'p> Refusal<'p> {
    /// What the mediator itself refuses with `EACCES`, as far as every such refusal has it.
    pub(in crate::supervisor) fn mediated(
        (kind, operation): (Kind, Operation),
        target: Vec<u8>,
        syscall: &'static str,
        (reason, rule): (Reason, Option<&'p Source>),
    ) -> Self {
        Self {
            kind,
            operation,
            access: Access::empty(),
            target,
            resolved: None,
            host: None,
            syscall,
            errno: Errno::EACCES,
            layer: Layer::Mediation,
            reason,
            rule,
            confidence: Confidence::Enforced,
        }
    }
}

impl Shared {
    /// What the command may do.
    pub(in crate::supervisor) fn policy(&self) -> &Policy {
        &self.basis.policy
    }

    /// The file-system part of that, for questions that callers wait for.
    pub(in crate::supervisor) fn index(&self) -> &FsIndex {
        &self.index
    }

    /// Whether something stays as it is although it lies in a tree that may be written.
    pub(in crate::supervisor) fn protects(&self) -> bool {
        !self.policy().fs.protected.is_empty()
    }

    fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The caller of a notification; `None` if it is not visible in our PID namespace.
    pub(in crate::supervisor) fn caller(&self, data: &NotificationData) -> Option<Caller<'_>> {
        Caller::new(&self.listener, data.id, data.tid)
    }

    /// Takes note of a program that is started.
    pub(in crate::supervisor) fn note_program(&self, path: &[u8]) {
        if observe::reads_unseen(path) {
            self.reads_unseen.store(true, Ordering::Relaxed);
        }
    }

    /// Adds a record. Who asked is looked up now, while the caller waits or, for an observed call,
    /// just after.
    pub(in crate::supervisor) fn record(&self, caller: &Caller<'_>, refusal: Refusal<'_>) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let denial = Denial {
            kind: refusal.kind,
            operation: refusal.operation,
            access: refusal.access,
            target: refusal.target,
            resolved: refusal.resolved,
            host: refusal.host,
            syscall: refusal.syscall.to_owned(),
            errno: refusal.errno as i32,
            pid: caller.status().map_or(caller.tid(), |s| s.tgid),
            exe: caller.exe(),
            layer: refusal.layer,
            reason: refusal.reason,
            rule: refusal.rule.cloned(),
            confidence: refusal.confidence,
            count: 1,
            first_ms: at,
            last_ms: at,
        };
        lock(&self.recorder).add(denial);
    }
}
