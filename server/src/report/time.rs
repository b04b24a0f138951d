//! Durations, for programs and for people.

use std::time::Duration;

/// A duration as programs read it.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as a person would say it.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms}ms"),
        ms @ 1000..120_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        ms => format!("{}m{:02}s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            (shown(0), shown(999), shown(4_250)),
            ("0ms".into(), "999ms".into(), "4.2s".into())
        );
        assert_eq!((shown(119_999), shown(120_000)), ("119.9s".into(), "2m00s".into()));
    }
}
