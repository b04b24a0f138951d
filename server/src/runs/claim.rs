//! Of several calls with the same request key one starts a run. The others wait for what becomes of
//! it, and start one themselves only if it came to nothing.

use super::registry::{Known, Registry};
use super::run::Run;
use super::start_error::StartError;
use super::{Key, lock};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::time::Instant;

/// A request key that this call alone may start a run for. Dropped before there is one, it leaves
/// the key to whoever waits for it.
#[derive(Debug)]
pub(super) struct Claim<'r> {
    registry: &'r Mutex<Registry>,
    key: Key,
    settled: bool,
    /// Those who wait see it go.
    _told: watch::Sender<()>,
}

/// What a call may do under its key.
#[derive(Debug)]
pub(super) enum Claimed<'r> {
    /// Start a run.
    Ours(Claim<'r>),
    /// Nothing: an earlier call has started this one.
    Before(Arc<Run>),
}

impl<'r> Claim<'r> {
    /// Claims a key, or waits for who has claimed it.
    ///
    /// # Errors
    /// [`StartError::KeyInUse`] if it stands for another call.
    pub(super) async fn of(
        registry: &'r Mutex<Registry>,
        key: Key,
    ) -> Result<Claimed<'r>, StartError> {
        loop {
            let known = lock(registry).claim(&key.name, key.request, Instant::now());
            let mut other = match known {
                Known::No(told) => {
                    let claim = Self { registry, key, settled: false, _told: told };
                    return Ok(Claimed::Ours(claim));
                }
                Known::Yes(run) => return Ok(Claimed::Before(run)),
                Known::Other => return Err(StartError::KeyInUse { key: key.name }),
                Known::Starting(other) => other,
            };
            // Nothing is ever sent: it ends when the other claim does.
            let _ended = other.changed().await;
        }
    }

    /// From now on the key stands for this run.
    pub(super) fn settle(mut self, registry: &mut Registry, run: &Run) {
        registry.remember(&self.key.name, self.key.request, run, Instant::now());
        self.settled = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.settled {
            lock(self.registry).release(&self.key.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn key(request: u64) -> Key {
        Key { name: "k".to_owned(), request }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn who_claims_second_waits_and_starts_one_if_the_first_did_not() {
        let registry = Mutex::default();
        let Ok(Claimed::Ours(first)) = Claim::of(&registry, key(1)).await else { panic!() };
        let mut second = Box::pin(Claim::of(&registry, key(1)));
        let mut third = Box::pin(Claim::of(&registry, key(1)));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        let other = Claim::of(&registry, key(2)).await;
        assert!(matches!(other, Err(StartError::KeyInUse { .. })), "{other:?}");
        drop(first);
        let Poll::Ready(Ok(Claimed::Ours(second))) = poll(second.as_mut()) else { panic!() };
        assert!(poll(third.as_mut()).is_pending(), "one of them");
        drop(second);
        assert!(matches!(third.await, Ok(Claimed::Ours(_))));
        assert!(matches!(Claim::of(&registry, key(2)).await, Ok(Claimed::Ours(_))));
    }
}
