//! Waiting for a run, without holding it up.

use crate::runs::Run;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two looks at a process that may wait for input.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After new output, how long to wait for more of it.
const MORE: Duration = Duration::from_millis(50);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The run is over.
    Over,
    /// It goes on, and waits for input.
    Waits,
    /// It goes on, and there is something new.
    News,
    /// It goes on, and the time is up.
    TimeUp,
    /// The client does not want the answer any more.
    Cancelled,
}

/// Waits until a run is over or waits for input, at most for `patience`.
pub(super) async fn settle<C: Future<Output = ()> + Send>(
    run: &Run,
    patience: Duration,
    cancelled: &mut Pin<&mut C>,
) -> Settled {
    tokio::select! {
        biased;
        () = run.over() => Settled::Over,
        () = cancelled => Settled::Cancelled,
        () = waits_for_input(run) => Settled::Waits,
        () = sleep(patience) => Settled::TimeUp,
    }
}

/// Waits until a run is over or waits for input.
pub(super) async fn answerable(run: &Run) {
    tokio::select! {
        () = run.over() => {}
        () = waits_for_input(run) => {}
    }
}

/// As [`settle`], and until there is output behind `seq`.
pub(super) async fn news<C: Future<Output = ()> + Send>(
    run: &Run,
    seq: u64,
    patience: Duration,
    cancelled: &mut Pin<&mut C>,
) -> Settled {
    let output = async {
        run.output_after(seq).await;
        // Lines that belong together rarely come at once.
        let _over_before = timeout(MORE, run.over()).await;
    };
    tokio::select! {
        biased;
        () = run.over() => Settled::Over,
        () = output => Settled::News,
        settled = settle(run, patience, cancelled) => settled,
    }
}

/// Ready when a process of the run is blocked on the run's input and nothing else happens: seen
/// twice in the kernel's tables with no output in between. Never ready for runs without input.
async fn waits_for_input(run: &Run) {
    let mut seen_at = None;
    while run.takes_input() {
        sleep(LOOK_EVERY).await;
        let waits = run.look().await.is_some_and(|snapshot| snapshot.sight.waiting.is_some());
        let total = run.total();
        if waits && seen_at == Some(total) {
            return;
        }
        seen_at = waits.then_some(total);
    }
    std::future::pending().await
}
