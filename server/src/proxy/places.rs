//! Places for connections: who may hold how many at a time.
//!
//! Each principal has an even part of all places, so none of them can take one from another. Of that
//! part a run gets a place while it holds fewer than are free: one that is alone stops at half, the
//! next at half of what is left, and one that has none gets one while there is one.

use nix::sys::resource::{Resource, getrlimit};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Semaphore;

/// Connections of one run at a time, if there are places for more.
pub(crate) const MOST_OF_A_RUN: usize = 2048;
/// Names that are looked up at a time. The library that does it knows no end to that, and blocks one
/// of the threads that the rest of the server needs as well.
pub(super) const ALL_LOOKUPS: usize = 64;
/// Names that one run has looked up at a time.
const LOOKUPS_OF_A_RUN: usize = 16;

/// Places of all principals together: half of the descriptors that this process may have, two for
/// each connection.
fn all_places() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft / 4).unwrap_or(usize::MAX)
}

/// What one principal has of the proxy.
#[derive(Debug)]
pub(crate) struct Share {
    principals: usize,
    /// Places of all principals; asked each time, because somebody may set the limit behind it anew.
    all: fn() -> usize,
    taken: Mutex<usize>,
    lookups: Arc<Semaphore>,
}

impl Share {
    /// An even part, of so many principals.
    pub(crate) fn of(principals: usize) -> Arc<Self> {
        Self::with(principals, all_places)
    }

    fn with(principals: usize, all: fn() -> usize) -> Arc<Self> {
        let lookups = Arc::new(Semaphore::new(part(ALL_LOOKUPS, principals)));
        Arc::new(Self { principals, all, taken: Mutex::default(), lookups })
    }

    fn places(&self) -> usize {
        part((self.all)(), self.principals)
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each has of `all`; something, however many there are.
fn part(all: usize, principals: usize) -> usize {
    (all / principals.max(1)).max(1)
}

/// What one run has of its principal's share.
#[derive(Debug)]
pub(super) struct Seats {
    share: Arc<Share>,
    /// Taken by this run; locked after what all of the principal's have taken.
    held: Mutex<usize>,
    /// How many it held when it first got no more.
    most: OnceLock<usize>,
    lookups: Arc<Semaphore>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Seats>);

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    /// How many connections the run held when it first got no more.
    pub(super) most: usize,
}

impl Seats {
    pub(super) fn new(share: Arc<Share>) -> Arc<Self> {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_OF_A_RUN));
        Arc::new(Self { share, held: Mutex::default(), most: OnceLock::new(), lookups })
    }

    /// A place for one connection.
    pub(super) fn take(self: &Arc<Self>) -> Result<Place, Full> {
        let mut taken = self.share.taken();
        let mut held = self.held();
        let free = self.share.places().saturating_sub(*taken);
        if *held >= free.min(MOST_OF_A_RUN) {
            return Err(Full { most: *self.most.get_or_init(|| *held) });
        }
        *taken += 1;
        *held += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// Whose turn it has to be for a name to be looked up: the run's, and its principal's.
    pub(super) fn lookups(&self) -> [Arc<Semaphore>; 2] {
        [Arc::clone(&self.lookups), Arc::clone(&self.share.lookups)]
    }

    fn held(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.share.taken();
        *taken -= 1;
        *self.0.held() -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many places as a run gets.
    fn all(seats: &Arc<Seats>) -> Vec<Place> {
        std::iter::from_fn(|| seats.take().ok()).collect()
    }

    fn run(share: &Arc<Share>) -> Arc<Seats> {
        Seats::new(Arc::clone(share))
    }

    fn free(share: &Share) -> usize {
        share.places() - *share.taken()
    }

    #[test]
    fn a_run_stops_at_half_of_what_others_leave() {
        let share = Share::with(2, || 200);
        let (first, second) = (run(&share), run(&share));
        let of_first = all(&first);
        assert_eq!((of_first.len(), first.take().err()), (50, Some(Full { most: 50 })));
        let of_second = all(&second);
        assert_eq!(of_second.len(), 25);
        drop(of_first);
        let more = all(&second);
        assert_eq!(of_second.len() + more.len(), 50);
        drop((of_second, more));
        assert_eq!(free(&share), 100, "all are given back");
    }

    #[test]
    fn a_run_that_has_nothing_gets_a_place_while_there_is_one() {
        let share = Share::with(1, || 100);
        let mut held = Vec::new();
        while free(&share) > 0 {
            let got = all(&run(&share));
            assert!(!got.is_empty() && free(&share) + 1 >= got.len());
            held.push(got);
        }
        assert!(held.len() > 6, "so many runs had something: {}", held.len());
        assert_eq!(run(&share).take().err(), Some(Full { most: 0 }));
    }

    #[test]
    fn what_one_principal_has_is_never_missing_for_another() {
        for all in [1, 64, 256, 1 << 18] {
            for principals in 1..=all.min(1000) {
                let places = part(all, principals);
                assert!(places >= 1 && places * principals <= all, "{all} {principals}");
            }
        }
        assert_eq!(part(64, 65), 1, "something is better than nothing");
    }

    #[test]
    fn where_there_are_many_a_run_has_its_most() {
        assert_eq!(all(&run(&Share::with(1, || 1 << 20))).len(), MOST_OF_A_RUN);
    }
}
