//! Supervisors started ahead, so that a run does not wait for one to start.

use super::supervisor::{Supervisor, Supervisors};
use crate::error::ServerError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Supervisors kept waiting.
const KEPT: usize = 1;

/// A small stock of idle supervisors.
#[derive(Debug, Clone)]
pub(super) struct Spares(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    supervisors: Supervisors,
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    idle: Vec<Supervisor>,
    /// Being started; counted so that a burst of runs starts no more than is kept.
    coming: usize,
    closed: bool,
}

impl Spares {
    /// An empty stock.
    pub(super) fn new(supervisors: Supervisors) -> Self {
        Self(Arc::new(Shared { supervisors, stock: Mutex::default() }))
    }

    /// A supervisor that waits for its plan: a spare one, or else a new one.
    ///
    /// # Errors
    /// [`ServerError::System`] if none can be started.
    pub(super) fn take(&self) -> Result<Supervisor, ServerError> {
        while let Some(mut spare) = self.0.lock().idle.pop() {
            if spare.is_alive() {
                return Ok(spare);
            }
            spare.retire();
        }
        self.0.supervisors.start()
    }

    /// Starts what is missing from the stock, in the background.
    pub(super) fn refill(&self) {
        let mut stock = self.0.lock();
        if stock.closed || stock.idle.len() + stock.coming >= KEPT {
            return;
        }
        stock.coming += 1;
        drop(stock);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move { shared.add() });
    }

    /// Ends the idle supervisors and starts no more.
    pub(super) fn close(&self) {
        let mut stock = self.0.lock();
        stock.closed = true;
        stock.idle.drain(..).for_each(Supervisor::retire);
    }
}

impl Shared {
    fn add(&self) {
        let started = self.supervisors.start();
        let mut stock = self.lock();
        stock.coming -= 1;
        match started {
            Ok(spare) if !stock.closed => stock.idle.push(spare),
            Ok(late) => late.retire(),
            Err(error) => tracing::warn!(%error, "no spare supervisor"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
