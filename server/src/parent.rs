//! Who started a process.

/// The parent of a process (proc_pid_stat(5)); `None` if it is gone.
pub(crate) fn parent_of(pid: i32) -> Option<i32> {
    parent(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field behind the name, which is in parentheses and may hold any bytes, spaces and
/// parentheses included.
fn parent(stat: &[u8]) -> Option<i32> {
    let behind = stat.get(memchr::memrchr(b')', stat)? + 1..)?;
    std::str::from_utf8(behind).ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_parent_behind_any_name() {
        assert_eq!(parent(b"12 (a) b (c) S 34 12 12 0"), Some(34));
        assert_eq!(parent(b"12 (sh) R 1 2"), Some(1));
        assert_eq!(parent(b"12 (\xff) R 1 2"), Some(1));
        assert_eq!(parent(b"12 sh R 1 2"), None);
    }

    #[test]
    fn parents_are_found() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(parent_of(me), Some(nix::unistd::getppid().as_raw()));
        assert_eq!(parent_of(-1), None);
    }
}
