//! Family-aware charging: what spends a token, and what an empty bucket means.
//!
//! An empty bucket never changes a verdict (requirement R2). It makes the caller wait, and only
//! the caller: see `supervisor::mediate`.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::time::Duration;

/// How many charged calls a run may make before it is slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Tokens that come back each second.
    pub per_second: NonZeroU32,
    /// How many may be saved up.
    pub burst: NonZeroU32,
}

/// What mediation covers; decides which families are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediationMode {
    /// Only AF_UNIX is judged. TCP, UDP and DNS are free.
    AfUnixOnly,
    /// Every network call is judged.
    Proxy,
}

/// What a notification turned out to be about, once its address was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// AF_UNIX.
    Unix,
    /// AF_INET or AF_INET6.
    Inet,
    /// Anything else.
    Other,
    /// The address could not be read.
    Unreadable,
}

/// Whether a notification spends a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// One token.
    One,
    /// Nothing.
    Free,
}

/// The table of requirement R1.
///
/// ```
/// use nono_sandbox::rate::{charge, Charge, Family, MediationMode};
/// assert_eq!(charge(MediationMode::AfUnixOnly, Family::Inet), Charge::Free);
/// assert_eq!(charge(MediationMode::AfUnixOnly, Family::Unreadable), Charge::One);
/// ```
#[must_use]
pub fn charge(mode: MediationMode, family: Family) -> Charge {
    match (mode, family) {
        (MediationMode::Proxy, _) => Charge::One,
        (MediationMode::AfUnixOnly, Family::Unix | Family::Unreadable) => Charge::One,
        (MediationMode::AfUnixOnly, Family::Inet | Family::Other) => Charge::Free,
    }
}

/// One run's bucket.
#[derive(Debug)]
pub struct Bucket {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    /// The shortest wait worth a sleep.
    rest: Duration,
}

/// A wait for each single token would be mostly timers and context switches, paid for by other
/// runs. Tokens are saved up meanwhile, so nobody gets fewer.
const REST: Duration = Duration::from_millis(1);

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let full = Duration::from_secs(1) * quota.burst.get() / quota.per_second.get();
        let rest = REST.min(full / 2);
        let quota = governor::Quota::per_second(quota.per_second).allow_burst(quota.burst);
        Self { limiter: RateLimiter::direct(quota), clock: DefaultClock::default(), rest }
    }

    /// Takes a token. `None`: there was one. `Some`: there is none for this long; wait and call
    /// again.
    #[must_use]
    pub fn take(&self) -> Option<Duration> {
        match self.limiter.check() {
            Ok(()) => None,
            Err(not_until) => Some(not_until.wait_time_from(self.clock.now()).max(self.rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::NetworkMode;

    #[test]
    fn the_whole_charging_table() {
        use Charge::{Free, One};
        use Family::{Inet, Other, Unix, Unreadable};
        use MediationMode::{AfUnixOnly, Proxy};
        let table = [
            (AfUnixOnly, Unix, One),
            (AfUnixOnly, Inet, Free),
            (AfUnixOnly, Other, Free),
            (AfUnixOnly, Unreadable, One),
            (Proxy, Unix, One),
            (Proxy, Inet, One),
            (Proxy, Other, One),
            (Proxy, Unreadable, One),
        ];
        for (mode, family, expected) in table {
            assert_eq!(charge(mode, family), expected, "{mode:?} {family:?}");
        }
    }

    #[test]
    fn the_table_over_the_modes_of_a_network() {
        for mode in NetworkMode::ALL {
            let proxy = matches!(mode, NetworkMode::Proxy | NetworkMode::Hosts);
            for family in [Family::Unix, Family::Inet, Family::Other, Family::Unreadable] {
                let one = proxy || matches!(family, Family::Unix | Family::Unreadable);
                let expected = if one { Charge::One } else { Charge::Free };
                assert_eq!(charge(mode.charged(), family), expected, "{mode} {family:?}");
            }
        }
    }

    #[test]
    fn an_empty_bucket_names_a_wait_and_fills_again() {
        let two = NonZeroU32::new(2).unwrap();
        let bucket = Bucket::new(Quota { per_second: NonZeroU32::new(1000).unwrap(), burst: two });
        assert!(bucket.take().is_none());
        assert!(bucket.take().is_none());
        let mut wait = bucket.take();
        for _ in 0..10_000 {
            let Some(duration) = wait else { return };
            assert!(duration <= Duration::from_millis(2), "{duration:?}");
            std::thread::sleep(duration);
            wait = bucket.take();
        }
        panic!("the bucket never filled again");
    }
}
