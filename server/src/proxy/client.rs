//! Whose a connection is, and the record of what was refused on it.

use super::places::{Full, Seats};
use nix::errno::Errno;
use nono_sandbox::policy::{Access, NetworkPolicy, Source};
use nono_sandbox::record::{Confidence, Denial, Kind, Layer, Operation, Reason, Recorder};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// A run, as the proxy sees it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) policy: NetworkPolicy,
    pub(super) refused: Mutex<Recorder>,
    pub(super) started: Instant,
    pub(super) seats: Arc<Seats>,
    pub(super) pipes: Semaphore,
    pub(super) over: watch::Sender<bool>,
}

/// Who is behind a connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) tenant: Arc<Tenant>,
    pub(super) pid: i32,
    pub(super) exe: Vec<u8>,
}

impl Tenant {
    /// What was refused so far.
    pub(super) fn refused(&self) -> MutexGuard<'_, Recorder> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Records that a destination was refused; `resolved` if because of an address it has.
    pub(super) fn record(
        &self,
        destination: String,
        resolved: Option<SocketAddr>,
        rule: Option<&Source>,
    ) {
        self.tenant.refused().add(Denial {
            resolved: resolved.map(|at| at.to_string().into_bytes()),
            rule: rule.cloned(),
            ..self.denial(destination, Errno::EACCES, Reason::NoGrant)
        });
    }

    /// Records that there was no place for a connection.
    pub(super) fn record_full(&self, Full { most }: Full) {
        let target = format!("more than {most} connections at a time");
        let denial = self.denial(target, Errno::EAGAIN, Reason::NoPlace);
        self.tenant.refused().add(denial);
    }

    /// A refusal, now.
    fn denial(&self, target: String, errno: Errno, reason: Reason) -> Denial {
        let at = self.tenant.started.elapsed().as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        Denial {
            kind: Kind::NetProxy,
            operation: Operation::Connect,
            access: Access::empty(),
            target: target.into_bytes(),
            resolved: None,
            host: None,
            syscall: "connect".to_owned(),
            errno: errno as i32,
            pid: self.pid,
            exe: self.exe.clone(),
            layer: Layer::Proxy,
            reason,
            rule: None,
            confidence: Confidence::Enforced,
            count: 1,
            first_ms: at,
            last_ms: at,
        }
    }
}
