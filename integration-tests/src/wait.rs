//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How long a condition may take before a test calls it broken. Generous on purpose: on a busy
/// machine nothing may fail for being slow.
pub const BOUND: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; gives whether it did within [`BOUND`].
#[must_use]
pub fn until(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + BOUND;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
