//! How many descriptors a run's processes may have open, where that is less than its server may.
//!
//! A supervisor is told as it is started and lowers its own limit before it forks: whatever it starts
//! inherits it.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};

/// How [`to_argument`] says that it is no less.
const AS_IT_IS: &str = "as-it-is";

/// The limit as an argument of a supervisor.
#[must_use]
pub fn to_argument(soft: Option<u64>) -> OsString {
    soft.map_or_else(|| AS_IT_IS.to_owned(), |soft| soft.to_string()).into()
}

/// What [`to_argument`] made; `None` for anything else.
#[must_use]
pub fn from_argument(argument: &OsStr) -> Option<Option<u64>> {
    match argument.to_str()? {
        AS_IT_IS => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// Sets the soft limit of this process, within its hard one (getrlimit(2)).
pub(crate) fn lower(soft: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back() {
        for soft in [None, Some(0), Some(1024), Some(u64::MAX)] {
            assert_eq!(from_argument(&to_argument(soft)), Some(soft));
        }
        assert_eq!(from_argument(OsStr::new("")), None);
        assert_eq!(from_argument(OsStr::new("-1")), None);
    }
}
