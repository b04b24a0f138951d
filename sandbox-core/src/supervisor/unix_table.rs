//! The kernel's table of UNIX sockets, `/proc/net/unix` (proc_pid_net(5)).

/// A line of it. The name is printed as it is, so one with a line end in it is cut there; of an
/// abstract one each NUL is an `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnixEntry<'l> {
    pub(super) inode: u64,
    pub(super) accepts: bool,
    /// Empty without one.
    pub(super) name: &'l [u8],
}

impl<'l> UnixEntry<'l> {
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        /// `__SO_ACCEPTCON` (linux/net.h).
        const ACCEPTS: u64 = 1 << 16;
        let mut rest = line;
        let mut word = || {
            let start = rest.iter().position(|byte| *byte != b' ')?;
            let word = rest.get(start..)?;
            let end = word.iter().position(|byte| *byte == b' ').unwrap_or(word.len());
            let (word, behind) = word.split_at_checked(end)?;
            rest = behind;
            std::str::from_utf8(word).ok()
        };
        let [_number, _users, _protocol, flags, _kind, _state, inode] =
            [word()?, word()?, word()?, word()?, word()?, word()?, word()?];
        Some(Self {
            inode: inode.parse().ok()?,
            accepts: u64::from_str_radix(flags, 16).ok()? & ACCEPTS != 0,
            name: rest.strip_prefix(b" ").unwrap_or_default(),
        })
    }
}
