//! A mediated call in hand: who made it, what it is, and what those that perform it have in common.

use super::blocking::{Interrupted, released};
use super::caller::Caller;
use super::leader::stand_in;
use super::request::unreadable;
use super::{Refusal, Shared, lock};
use crate::decide::Domain;
use crate::policy::Source;
use crate::rate::{Charge, Family, charge};
use crate::record::{Kind, Operation, Reason};
use crate::sys;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Turn<'s> {
    pub(super) shared: &'s Arc<Shared>,
    pub(super) caller: Caller<'s>,
    /// What its records say that it was.
    pub(super) operation: Operation,
    pub(super) syscall: &'static str,
}

impl Turn<'_> {
    /// The socket behind a descriptor number, and what it was made as. What is no socket that can be
    /// judged is refused.
    pub(super) fn hold(&self, fd: u64) -> Result<(OwnedFd, Domain), Errno> {
        let socket = self.caller.descriptor(fd)?;
        let family = sys::socket_domain(socket.as_fd())?;
        if let Some(domain) = Domain::of(family) {
            return Ok((socket, domain));
        }
        let target = format!("socket of family {family}").into_bytes();
        self.record(self.refusal(Kind::Socket, target, (Reason::NotSupported, None)));
        Err(Errno::EACCES)
    }

    /// The call's refusal, as far as every one of the mediator's has it.
    pub(super) fn refusal<'p>(
        &self,
        kind: Kind,
        target: Vec<u8>,
        why: (Reason, Option<&'p Source>),
    ) -> Refusal<'p> {
        Refusal::mediated((kind, self.operation), target, self.syscall, why)
    }

    /// Adds a record.
    pub(super) fn record(&self, refusal: Refusal<'_>) {
        self.shared.record(&self.caller, refusal);
    }

    /// As [`unreadable`].
    pub(super) fn unreadable(&self, errno: Errno, kind: Kind) {
        unreadable(self.shared, &self.caller, (errno, kind), self.operation, self.syscall);
    }

    /// Pays for the call, if calls of its family cost something. If there is no token the caller
    /// waits for one, and nobody else does: a stand-in goes on answering.
    pub(super) fn pay_for(&self, family: Family) -> Result<(), Interrupted> {
        let is_free = charge(self.shared.charged, family) == Charge::Free;
        if is_free || self.shared.bucket.take().is_none() {
            return Ok(());
        }
        let leadership = &self.shared.leadership;
        leadership.slowed.fetch_add(1, Ordering::Relaxed);
        stand_in(self.shared, &mut lock(&leadership.state), self.caller.id());
        let since = Instant::now();
        leadership.tokens.wait(&self.shared.bucket, || released(&self.caller, since))
    }
}
