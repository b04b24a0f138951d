//! Supervisors started ahead, so that a run does not wait for one to start and to build a sandbox.
//!
//! They get ready for a run like the last one. One more is there for any other: what has got ready
//! cannot get ready for something else.

use super::start_error::StartError;
use super::supervisor::{Supervisor, Supervisors};
use nono_sandbox::plan::{Basis, Plan};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Supervisors kept ready for runs like the last one.
const KEPT: usize = 2;
/// Supervisors kept ready in all: servers with several policies come back to the others.
const MOST: usize = 3 * KEPT;

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
    /// Told what to get ready for, the oldest first.
    ready: VecDeque<Supervisor>,
    /// Not told anything.
    blank: Option<Supervisor>,
    /// Somebody is starting what is missing: one at a time, so that a burst of runs starts no more
    /// than is kept.
    filling: bool,
    closed: bool,
    /// What they get ready for; `None` before anybody can tell.
    basis: Option<Arc<Basis>>,
}

/// A supervisor to be started.
enum Missing {
    /// To get ready for runs like this.
    Ready(Arc<Basis>),
    /// For a run unlike the last.
    Blank,
}

impl Spares {
    /// An empty stock of supervisors that will get ready for `basis`.
    pub(super) fn new(supervisors: Supervisors, basis: Option<Arc<Basis>>) -> Self {
        let ready = VecDeque::new();
        let stock = Stock { ready, blank: None, filling: false, closed: false, basis };
        Self(Arc::new(Shared { supervisors, stock: Mutex::new(stock) }))
    }

    /// A supervisor that waits for its plan: a spare one, or else a new one. The next spare ones
    /// get ready for a plan like this.
    ///
    /// # Errors
    /// [`StartError::System`] if none can be started.
    pub(super) fn take(&self, plan: &Plan) -> Result<Supervisor, StartError> {
        if !plan.launch.terminal {
            // Runs on a terminal are few, and see another file system than the others.
            self.0.lock().basis = Some(Arc::clone(&plan.basis));
        }
        while let Some(mut spare) = self.0.take_ready(&plan.basis) {
            if spare.is_alive() && spare.is_current() {
                return Ok(spare);
            }
            spare.retire();
        }
        let blank = self.0.lock().blank.take();
        if let Some(mut blank) = blank {
            if blank.is_alive() {
                return Ok(blank);
            }
            blank.retire();
        }
        self.fresh()
    }

    /// A supervisor that has got ready for nothing.
    ///
    /// # Errors
    /// [`StartError::System`] if none can be started.
    pub(super) fn fresh(&self) -> Result<Supervisor, StartError> {
        // To start a process takes a while, unlike to take one that is there.
        tokio::task::block_in_place(|| self.0.supervisors.start())
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
        if !std::mem::replace(&mut stock.filling, true) {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || while shared.add() {});
        }
    }

    /// Ends the idle supervisors and starts no more.
    pub(super) fn close(&self) {
        let mut stock = self.0.lock();
        stock.closed = true;
        stock.ready.drain(..).for_each(Supervisor::retire);
        stock.blank.take().into_iter().for_each(Supervisor::retire);
    }
}

impl Stock {
    /// How many wait for a run on `basis`.
    fn ready_for(&self, basis: &Arc<Basis>) -> usize {
        self.ready.iter().filter(|spare| spare.is_for(basis)).count()
    }

    /// What is to be started next, if anything is.
    fn missing(&self) -> Option<Missing> {
        if self.closed {
            return None;
        }
        // Who waits for one next is more likely to want another run like the last.
        let basis = self.basis.as_ref().filter(|basis| self.ready_for(basis) < KEPT);
        match basis {
            Some(basis) => Some(Missing::Ready(Arc::clone(basis))),
            None => self.blank.is_none().then_some(Missing::Blank),
        }
    }
}

impl Shared {
    /// The one that was started first of those for this: it had the most time to get ready.
    fn take_ready(&self, basis: &Arc<Basis>) -> Option<Supervisor> {
        let mut stock = self.lock();
        let at = stock.ready.iter().position(|spare| spare.is_for(basis))?;
        stock.ready.remove(at)
    }

    /// Starts one that is missing; gives whether there may be more.
    fn add(&self) -> bool {
        let mut stock = self.lock();
        let Some(missing) = stock.missing() else {
            stock.filling = false;
            return false;
        };
        drop(stock);
        let started = self.supervisors.start().and_then(|mut spare| {
            if let Missing::Ready(basis) = &missing {
                spare.prepare(basis)?;
            }
            Ok(spare)
        });
        let mut stock = self.lock();
        match (started, missing) {
            (Err(error), _) => {
                // The next run tries again.
                tracing::warn!(%error, "no spare supervisor");
                stock.filling = false;
                return false;
            }
            (Ok(late), _) if stock.closed => late.retire(),
            (Ok(blank), Missing::Blank) => stock.blank = Some(blank),
            (Ok(ready), Missing::Ready(_)) => {
                stock.ready.push_back(ready);
                if stock.ready.len() > MOST {
                    stock.ready.pop_front().into_iter().for_each(Supervisor::retire);
                }
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
