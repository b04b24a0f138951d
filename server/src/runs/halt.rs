//! What all runs of a server are asked for at its end.

use tokio::sync::watch;

/// What runs are asked to do as a whole. Ordered: each step includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Halt {
    No,
    Stop,
    Cut,
    /// Their supervisors are not waited for any longer.
    Kill,
}

/// Waits until all runs are asked for this, or are no longer asked for anything.
pub(super) async fn reached(mut halt: watch::Receiver<Halt>, step: Halt) {
    // Whoever asks is gone: as before, that ends the wait.
    drop(halt.wait_for(|halt| *halt >= step).await);
}
