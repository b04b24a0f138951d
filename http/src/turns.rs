//! Whose request is handled next, where more come than can be handled at once.
//!
//! A server has as many turns as threads. Without them, each of the hundreds of requests that one
//! principal may have open would be as near to a thread as the only one of another: who floods
//! would make the others wait for all of the flood. With them, principals take turns, however many
//! requests each has waiting.

use crate::principals::PrincipalId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What takes longer than this waits for something: its turn is over, and it goes on without. What
/// computes for longer does not do so on the threads that turns are for.
const LONGEST: Duration = Duration::from_millis(5);

/// All turns of a server.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<Line>);

#[derive(Debug)]
struct Line {
    free: usize,
    /// Requests that wait, by their principal.
    waiting: HashMap<PrincipalId, VecDeque<oneshot::Sender<Turn>>>,
    /// Principals with requests that wait; the first is next.
    order: VecDeque<PrincipalId>,
}

/// A request's turn; given on when dropped.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Turns>>);

/// A turn that ends when this is dropped, and after a while in any case: nothing that a client
/// does or leaves undone, such as reading, keeps it longer.
#[derive(Debug)]
pub(crate) struct Bounded(
    #[expect(dead_code, reason = "tells by being dropped")] oneshot::Sender<()>,
);

impl Turn {
    /// From now on it lasts so long at most.
    pub(crate) fn bounded(self) -> Bounded {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let _told_or_over = tokio::time::timeout(LONGEST, told).await;
            drop(self);
        });
        Bounded(tell)
    }
}

impl Turns {
    /// So many at once.
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        let line = Line { free: at_once, waiting: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self(Mutex::new(line)))
    }

    /// As many as this machine has for the server.
    pub(crate) fn of_machine() -> Arc<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// Waits for the turn of a request of `principal`.
    pub(crate) async fn take(self: &Arc<Self>, principal: PrincipalId) -> Turn {
        let given = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                return Turn(Some(Arc::clone(self)));
            }
            let (give, given) = oneshot::channel();
            let Line { waiting, order, .. } = &mut *line;
            let queue = waiting.entry(principal).or_default();
            if queue.is_empty() {
                order.push_back(principal);
            }
            queue.push_back(give);
            given
        };
        // A line that is gone holds nobody up.
        given.await.unwrap_or(Turn(None))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a turn to the next in line, or keeps it for who comes.
    fn give_on(self: Arc<Self>) {
        loop {
            let next = {
                let mut line = self.line();
                let next = line.next();
                if next.is_none() {
                    line.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Turn(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // It does not wait any more, and what comes back must not give itself on as well.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Line {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let principal = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&principal)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&principal);
        } else {
            self.order.push_back(principal);
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.give_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> PrincipalId {
        PrincipalId::of_test(number)
    }

    /// Has these principals wait in this order behind one turn; the order they are served in.
    async fn served(line: &[u64]) -> Vec<u64> {
        let turns = Turns::new(1);
        let held = turns.take(id(99)).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for principal in line.iter().copied() {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(id(principal)).await;
                order.lock().unwrap().push(principal);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(turns.line().free, 1, "every turn came back");
        assert!(turns.line().waiting.is_empty() && turns.line().order.is_empty());
        order.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn principals_take_turns_however_many_requests_each_has() {
        assert_eq!(served(&[0, 0, 0, 0, 1, 0, 2, 1]).await, [0, 1, 2, 0, 1, 0, 0, 0]);
        let flood: Vec<u64> = std::iter::repeat_n(0, 500).chain([1]).collect();
        assert_eq!(served(&flood).await[1], 1, "the second in line");
    }

    #[tokio::test]
    async fn who_leaves_the_line_keeps_no_turn() {
        let turns = Turns::new(1);
        let held = turns.take(id(0)).await;
        let mut gone = Box::pin(turns.take(id(1)));
        let mut stays = Box::pin(turns.take(id(2)));
        assert!(Future::poll(gone.as_mut(), &mut context()).is_pending());
        assert!(Future::poll(stays.as_mut(), &mut context()).is_pending());
        drop(gone);
        drop(held);
        let turn = stays.await;
        assert_eq!(turns.line().free, 0);
        drop(turn);
        assert_eq!(turns.line().free, 1);
        // One that was given and not fetched comes back as well.
        let held = turns.take(id(0)).await;
        let mut late = Box::pin(turns.take(id(1)));
        assert!(Future::poll(late.as_mut(), &mut context()).is_pending());
        drop(held);
        drop(late);
        assert_eq!(turns.line().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_comes_to_its_end_whatever_becomes_of_the_request() {
        let turns = Turns::new(1);
        let stuck = turns.take(id(0)).await.bounded();
        // Nobody looks at `stuck` any more.
        let next = turns.take(id(1)).await.bounded();
        drop(next);
        let _last = turns.take(id(0)).await;
        drop(stuck);
        assert_eq!(turns.line().free, 0, "one that has ended gives nothing back");
    }

    fn context() -> std::task::Context<'static> {
        std::task::Context::from_waker(std::task::Waker::noop())
    }

    #[tokio::test]
    async fn as_many_at_once_as_there_are() {
        let turns = Turns::new(3);
        let held = [turns.take(id(0)).await, turns.take(id(0)).await, turns.take(id(1)).await];
        assert_eq!(turns.line().free, 0);
        drop(held);
        assert_eq!(turns.line().free, 3);
    }
}
