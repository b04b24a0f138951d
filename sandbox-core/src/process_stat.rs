//! What `/proc/PID/stat` says of a process.

use std::str::FromStr;

/// The fields behind the name, as text (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat(String);

impl ProcessStat {
    /// Of a process; `None` if it is gone.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name is in parentheses and may hold any bytes, spaces and parentheses included: a
    /// process chooses it. So what counts is behind the last parenthesis.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        Some(Self(fields.to_owned()))
    }

    /// A field by its number in the manual, where the name is the second.
    #[must_use]
    pub fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.0.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }

    /// Who started it, or took it over.
    #[must_use]
    pub fn parent(&self) -> Option<i32> {
        self.field(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_behind_any_name() {
        let parent = |line: &[u8]| ProcessStat::parse(line).and_then(|stat| stat.parent());
        assert_eq!(parent(b"12 (a) b (c) S 34 12 12 0"), Some(34));
        assert_eq!(parent(b"12 (sh) R 1 2"), Some(1));
        assert_eq!(parent(b"12 (\xff) R 1 2"), Some(1));
        assert_eq!(parent(b"12 sh R 1 2"), None);
    }

    #[test]
    fn fields_are_counted_as_in_the_manual() {
        let stat = ProcessStat::parse(b"12 (sh) Z 1 22 33\n").unwrap();
        assert_eq!((stat.field(3), stat.field(5), stat.field(6)), (Some('Z'), Some(22), Some(33)));
        assert_eq!((stat.field::<u64>(2), stat.field::<u64>(7)), (None, None));
        assert_eq!(stat.field::<u64>(3), None, "a letter");
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        let me = ProcessStat::of(std::process::id().cast_signed()).unwrap();
        assert_eq!(me.parent(), Some(nix::unistd::getppid().as_raw()));
        assert_eq!(ProcessStat::of(-1), None);
    }
}
