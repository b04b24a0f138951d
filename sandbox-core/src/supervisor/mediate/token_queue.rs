//! The queue in which callers wait for tokens.
//!
//! One of them, the first, waits for the next token; the others wait for its place. Otherwise all
//! would wake for each token, and all but one go back to sleep. Whoever is killed or has a signal to
//! handle leaves the queue.

use super::blocking::Interrupted;
use super::lock;
use crate::rate::Bucket;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long one waits before it is seen whether the caller still does. Seldom enough to be nothing
/// beside a flood of callers, which is when there is a queue.
const LOOK: Duration = Duration::from_millis(100);

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct TokenQueue {
    /// Whether somebody waits for the next token.
    has_first: Mutex<bool>,
    next: Condvar,
}

impl TokenQueue {
    /// Waits for a token. `released` says whether there is nobody to wait for any more.
    ///
    /// # Errors
    /// With what `released` says.
    pub(super) fn wait(
        &self,
        bucket: &Bucket,
        released: impl Fn() -> Result<(), Interrupted>,
    ) -> Result<(), Interrupted> {
        self.become_first(&released)?;
        let paid = loop {
            let Some(wait) = bucket.take() else { break Ok(()) };
            if wait >= LOOK
                && let Err(why) = released()
            {
                break Err(why);
            }
            std::thread::sleep(wait.min(LOOK));
        };
        *lock(&self.has_first) = false;
        self.next.notify_one();
        paid
    }

    fn become_first(
        &self,
        released: &impl Fn() -> Result<(), Interrupted>,
    ) -> Result<(), Interrupted> {
        let mut has_first = lock(&self.has_first);
        while *has_first {
            let woken = self.next.wait_timeout(has_first, LOOK);
            let (guard, time) = woken.unwrap_or_else(PoisonError::into_inner);
            has_first = guard;
            if time.timed_out() {
                drop(has_first);
                released()?;
                has_first = lock(&self.has_first);
            }
        }
        *has_first = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Quota;
    use std::num::NonZeroU32;

    fn empty_bucket(per_second: u32) -> Bucket {
        let one = NonZeroU32::MIN;
        let bucket =
            Bucket::new(Quota { per_second: NonZeroU32::new(per_second).unwrap(), burst: one });
        assert_eq!(bucket.take(), None);
        bucket
    }

    #[test]
    fn everybody_gets_a_token_in_the_end() {
        let (queue, bucket) = (TokenQueue::default(), empty_bucket(1000));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(queue.wait(&bucket, || Ok(())), Ok(())));
            }
        });
    }

    #[test]
    fn who_has_nobody_to_wait_for_leaves_the_line_first_or_not() {
        // The next token comes in a second; nobody is there to take it by then.
        let (queue, bucket) = (TokenQueue::default(), empty_bucket(1));
        let gone = || Err(Interrupted::CallerGone);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(queue.wait(&bucket, gone), gone()));
            }
        });
        assert!(!*lock(&queue.has_first));
    }
}
