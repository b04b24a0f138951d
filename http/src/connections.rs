//! The connections that are open: so many and no more, and who has to make room.

use crate::counts::Counts;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    /// Counts what happens, to tell earlier from later.
    clock: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    counts: Arc<Counts>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    /// Answers on their way to somebody who may ask.
    held: AtomicUsize,
    /// When it last asked for something, or was opened.
    seen: AtomicU64,
    /// Cancelled once it has to go.
    leave: CancellationToken,
}

impl Connections {
    /// At most so many.
    pub(crate) fn new(most: usize, counts: Arc<Counts>) -> Arc<Self> {
        Arc::new(Self { most, clock: AtomicU64::new(0), open: Mutex::default(), counts })
    }

    /// Room for one more. If there is none, the one that has been idle for longest goes; `None` if
    /// all of them are in use.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Open> {
        let mut open = self.lock();
        if open.len() >= self.most {
            let idle = open.values().filter(|c| c.held.load(Ordering::Acquire) == 0);
            let Some(oldest) = idle.min_by_key(|c| c.seen.load(Ordering::Relaxed)) else {
                self.counts.refused();
                return None;
            };
            oldest.leave.cancel();
            let id = oldest.id;
            open.remove(&id);
            self.counts.displaced();
        }
        self.counts.connected();
        let id = self.tick();
        let connection = Arc::new(Connection {
            id,
            held: AtomicUsize::new(0),
            seen: AtomicU64::new(id),
            leave: CancellationToken::new(),
        });
        open.insert(id, Arc::clone(&connection));
        Some(Open { all: Arc::clone(self), connection })
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Open {
    all: Arc<Connections>,
    connection: Arc<Connection>,
}

impl Open {
    /// Ready once the connection has to make room.
    pub(crate) async fn has_to_leave(&self) {
        self.connection.leave.cancelled().await;
    }

    /// For the requests that come by it.
    pub(crate) fn connection(&self) -> Arc<Connection> {
        self.connection.seen.store(self.all.tick(), Ordering::Relaxed);
        Arc::clone(&self.connection)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.lock().remove(&self.connection.id);
    }
}

/// As long as this lives, its connection makes room for nobody.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Connection>);

impl Hold {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        connection.held.fetch_add(1, Ordering::AcqRel);
        Self(connection)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_to_leave(open: &Open) -> bool {
        open.connection.leave.is_cancelled()
    }

    #[test]
    fn the_longest_idle_makes_room_and_one_in_use_does_not() {
        let all = Connections::new(2, Arc::default());
        let (first, second) = (all.admit().unwrap(), all.admit().unwrap());
        let hold = Hold::new(first.connection());
        let third = all.admit().unwrap();
        assert!(has_to_leave(&second) && !has_to_leave(&first) && !has_to_leave(&third));
        let _other = Hold::new(third.connection());
        assert!(all.admit().is_none(), "all are in use");
        drop(hold);
        let fourth = all.admit().unwrap();
        assert!(has_to_leave(&first) && !has_to_leave(&fourth));
        drop(fourth);
        assert!(all.admit().is_some(), "a closed one gives its place back");
    }

    #[test]
    fn who_asked_last_stays_longest() {
        let all = Connections::new(2, Arc::default());
        let (first, second) = (all.admit().unwrap(), all.admit().unwrap());
        drop(first.connection());
        let _third = all.admit().unwrap();
        assert!(has_to_leave(&second) && !has_to_leave(&first));
    }
}
