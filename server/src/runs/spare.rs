//! Supervisors started ahead, so that a run does not wait for one to start and to build a sandbox.
//!
//! They get ready for a run like the last one.

use super::supervisor::{Supervisor, Supervisors};
use crate::error::ServerError;
use nono_sandbox::plan::{Basis, Plan};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Supervisors kept waiting.
const KEPT: usize = 2;

/// A small stock of idle supervisors.
#[derive(Debug, Clone)]
pub(super) struct Spares(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    supervisors: Supervisors,
    stock: Mutex<Stock>,
}

#[derive(Debug)]
struct Stock {
    idle: VecDeque<Supervisor>,
    /// Being started; counted so that a burst of runs starts no more than is kept.
    coming: usize,
    closed: bool,
    /// What they get ready for; `None` before anybody can tell.
    basis: Option<Arc<Basis>>,
}

impl Spares {
    /// An empty stock of supervisors that will get ready for `basis`.
    pub(super) fn new(supervisors: Supervisors, basis: Option<Arc<Basis>>) -> Self {
        let stock = Stock { idle: VecDeque::new(), coming: 0, closed: false, basis };
        Self(Arc::new(Shared { supervisors, stock: Mutex::new(stock) }))
    }

    /// A supervisor that waits for its plan: a spare one, or else a new one. The next spare ones
    /// get ready for a plan like this.
    ///
    /// # Errors
    /// [`ServerError::System`] if none can be started.
    pub(super) fn take(&self, plan: &Plan) -> Result<Supervisor, ServerError> {
        // Runs on a terminal are few, and see another file system than the others.
        if plan.launch.terminal {
            return self.0.supervisors.start();
        }
        self.0.lock().basis = Some(Arc::clone(&plan.basis));
        while let Some(mut spare) = self.0.pop() {
            if spare.is_alive() && spare.fits(&plan.basis) {
                return Ok(spare);
            }
            spare.retire();
        }
        self.0.supervisors.start()
    }

    /// Starts what is missing from the stock, in a moment: not while the processors are needed for
    /// what somebody waits for.
    pub(super) fn refill_after(&self, moment: Duration) {
        let spares = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(moment).await;
            spares.refill();
        });
    }

    /// Starts what is missing from the stock, in the background.
    pub(super) fn refill(&self) {
        let mut stock = self.0.lock();
        if stock.closed || stock.idle.len() + stock.coming >= KEPT {
            return;
        }
        let missing = KEPT - stock.idle.len() - stock.coming;
        stock.coming += missing;
        drop(stock);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move { (0..missing).for_each(|_| shared.add()) });
    }

    /// Ends the idle supervisors and starts no more.
    pub(super) fn close(&self) {
        let mut stock = self.0.lock();
        stock.closed = true;
        stock.idle.drain(..).for_each(Supervisor::retire);
    }
}

impl Shared {
    /// The one that was started first: it had the most time to get ready.
    fn pop(&self) -> Option<Supervisor> {
        self.lock().idle.pop_front()
    }

    fn add(&self) {
        let basis = self.lock().basis.clone();
        let started = self.supervisors.start().and_then(|mut spare| {
            if let Some(basis) = basis {
                spare.prepare(&basis)?;
            }
            Ok(spare)
        });
        let mut stock = self.lock();
        stock.coming -= 1;
        match started {
            Ok(spare) if !stock.closed => stock.idle.push_back(spare),
            Ok(late) => late.retire(),
            Err(error) => tracing::warn!(%error, "no spare supervisor"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
