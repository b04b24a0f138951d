//! Who may start a run now, and who waits for whom.
//!
//! A principal has places of its own and, beyond those, one waiting call at the places of all: so
//! of many calls of one principal and one call of another, the other's is the second in line and
//! not the last.

use super::halt::Halt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

/// Calls of one principal that may wait for a place, and for how long.
const MAX_QUEUED: usize = 64;
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);

/// The places of all principals together, and whether runs may go on at all.
#[derive(Debug)]
pub(super) struct Places {
    live: u32,
    permits: Arc<Semaphore>,
    pub(super) halt: watch::Sender<Halt>,
}

impl Places {
    /// So many.
    pub(super) fn new(live: u32) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(live as usize));
        Arc::new(Self { live, permits, halt: watch::Sender::new(Halt::No) })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        (self.live as usize).saturating_sub(self.permits.available_permits())
    }

    /// Ready once none is taken.
    pub(super) async fn all_free(&self) {
        // They are never closed.
        let _all = self.permits.acquire_many(self.live).await;
    }
}

/// The places of one principal.
#[derive(Debug)]
pub(super) struct Gate {
    places: Arc<Places>,
    live: u32,
    own: Arc<Semaphore>,
    /// Held by the one call that waits at the places of all.
    turn: Mutex<()>,
    queued: AtomicUsize,
}

/// A place among the live runs; given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// This many runs are live, and the queue is full or did not move.
    Busy(u32),
    /// The server ends.
    ShuttingDown,
}

impl Gate {
    /// At most `live` of the places of all.
    pub(super) fn new(places: Arc<Places>, live: u32) -> Self {
        let live = live.min(places.live);
        let own = Arc::new(Semaphore::new(live as usize));
        Self { places, live, own, turn: Mutex::default(), queued: AtomicUsize::new(0) }
    }

    /// A place among the live runs. Who finds none waits in a queue of limited length.
    pub(super) async fn admit(&self) -> Result<Admission, NoPlace> {
        if *self.places.halt.borrow() != Halt::No {
            return Err(NoPlace::ShuttingDown);
        }
        if let Some(admission) = self.at_once() {
            return Ok(admission);
        }
        let _place = Place::take(&self.queued).ok_or(NoPlace::Busy(self.live))?;
        let mut halt = self.places.halt.subscribe();
        tokio::select! {
            admission = tokio::time::timeout(QUEUE_PATIENCE, self.in_line()) => match admission {
                Ok(Some(admission)) => Ok(admission),
                Ok(None) | Err(_) => Err(NoPlace::Busy(self.live)),
            },
            _ = halt.wait_for(|halt| *halt != Halt::No) => Err(NoPlace::ShuttingDown),
        }
    }

    fn at_once(&self) -> Option<Admission> {
        // Nobody goes past those who wait.
        let _turn = self.turn.try_lock().ok()?;
        let own = Arc::clone(&self.own).try_acquire_owned().ok()?;
        let shared = Arc::clone(&self.places.permits).try_acquire_owned().ok()?;
        Some(Admission { _own: own, _shared: shared })
    }

    /// `None` if there are no places any more.
    async fn in_line(&self) -> Option<Admission> {
        let own = Arc::clone(&self.own).acquire_owned().await.ok()?;
        let _turn = self.turn.lock().await;
        let shared = Arc::clone(&self.places.permits).acquire_owned().await.ok()?;
        Some(Admission { _own: own, _shared: shared })
    }
}

/// A place in the queue; given back when dropped.
struct Place<'q>(&'q AtomicUsize);

impl<'q> Place<'q> {
    fn take(queued: &'q AtomicUsize) -> Option<Self> {
        let room = |n: usize| (n < MAX_QUEUED).then_some(n + 1);
        queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Self(queued))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[tokio::test]
    async fn a_principal_has_no_more_than_its_places() {
        let all = Places::new(3);
        let (first, second) = (Gate::new(Arc::clone(&all), 2), Gate::new(Arc::clone(&all), 9));
        let held = [first.admit().await.unwrap(), first.admit().await.unwrap()];
        assert!(first.at_once().is_none(), "its own places are taken");
        let _other = second.admit().await.unwrap();
        assert!(second.at_once().is_none(), "all places are taken");
        assert_eq!(all.taken(), 3);
        drop(held);
        assert!(second.at_once().is_some());
    }

    #[tokio::test]
    async fn the_other_principal_is_the_second_in_line() {
        let all = Places::new(2);
        let many = Arc::new(Gate::new(Arc::clone(&all), 2));
        let one = Arc::new(Gate::new(Arc::clone(&all), 2));
        let other = Gate::new(Arc::clone(&all), 2);
        // All places are taken, of which none is one of `many`.
        let held = (other.admit().await.unwrap(), other.admit().await.unwrap());
        let order = Arc::new(std::sync::Mutex::new(VecDeque::new()));
        let mut waiting = Vec::new();
        let gates = (0..40).map(|_| ("many", &many)).chain([("one", &one)]);
        for (name, gate) in gates {
            let (gate, order) = (Arc::clone(gate), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let admission = gate.admit().await.unwrap();
                order.lock().unwrap().push_back(name);
                drop(admission);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in waiting {
            task.await.unwrap();
        }
        let at = order.lock().unwrap().iter().position(|name| *name == "one");
        assert!(at.is_some_and(|at| at <= 2), "{at:?}");
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let gate = Arc::new(Gate::new(Places::new(1), 1));
        let held = gate.admit().await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MAX_QUEUED {
            let gate = Arc::clone(&gate);
            waiting.push(tokio::spawn(async move { gate.admit().await.is_ok() }));
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.admit().await.err(), Some(NoPlace::Busy(1)));
        drop(held);
        for task in waiting {
            assert!(task.await.unwrap(), "who waits gets a place");
        }
    }

    #[tokio::test]
    async fn nobody_gets_a_place_at_the_end() {
        let all = Places::new(1);
        let gate = Gate::new(Arc::clone(&all), 1);
        let _held = gate.admit().await.unwrap();
        let (waiting, ()) = tokio::join!(gate.admit(), async {
            tokio::task::yield_now().await;
            all.halt.send_replace(Halt::Stop);
        });
        assert_eq!(waiting.err(), Some(NoPlace::ShuttingDown));
        assert_eq!(gate.admit().await.err(), Some(NoPlace::ShuttingDown));
    }
}
