//! Abstract names on kernels without a scope for them: a command gets those of its own run
//! ([`OwnNames`]) and is told of others.

use super::request::refuse_abstract;
use super::turn::Turn;
use crate::decide::OwnNames;
use crate::supervisor::unix_table::UnixEntry;
use crate::sys;
use nix::errno::Errno;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

/// The abstract names of a run.
#[derive(Debug)]
pub(super) struct PrivateNames {
    own: OwnNames,
    /// Names that were the kernel's to choose.
    given: AtomicU32,
}

impl PrivateNames {
    pub(super) fn new() -> Result<Self, Errno> {
        let own = OwnNames::new(u64::from_ne_bytes(sys::random_bytes()?));
        Ok(Self { own, given: AtomicU32::new(0) })
    }

    /// Binds a socket to a name that is free.
    pub(super) fn bind(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        /// As many as the kernel has to choose from.
        const MOST: u32 = 1 << 20;
        for _ in 0..MOST {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let address = self.own.unnamed(number).ok_or(Errno::ENAMETOOLONG)?;
            match sys::bind(socket, &address) {
                // A command may ask for such a name itself.
                Err(Errno::EADDRINUSE) => {}
                bound => return bound,
            }
        }
        Err(Errno::ENOSPC)
    }
}

/// The address to use for an abstract name; a refusal on record where it cannot be the run's own.
pub(super) fn address(turn: &Turn<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    turn.shared.names.own.address(name).ok_or_else(|| refuse_abstract(turn, name))
}

/// What a call gets that found no such name in the run. Where somebody else has it, that is a
/// refusal and recorded as one.
pub(super) fn not_found(turn: &Turn<'_>, name: &[u8]) -> Errno {
    if is_bound(name) { refuse_abstract(turn, name) } else { Errno::ECONNREFUSED }
}

/// Whether a socket has the name, as this process's network knows it.
fn is_bound(name: &[u8]) -> bool {
    let table = std::fs::read("/proc/self/net/unix").unwrap_or_default();
    table.split(|byte| *byte == b'\n').any(|line| has_name(line, name))
}

/// Whether a line of the table is about an abstract name. Nothing can be told of one with a line end
/// in it.
fn has_name(line: &[u8], name: &[u8]) -> bool {
    let letter = |byte: &u8| if *byte == 0 { b'@' } else { *byte };
    let shown: Vec<u8> = [0].iter().chain(name).map(letter).collect();
    UnixEntry::parse(line).is_some_and(|entry| entry.name == shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_they_end_in() {
        let line = |name: &str| {
            format!("0000000000000000: 00000002 00000000 00010000 0001 01   123 {name}")
                .into_bytes()
        };
        assert!(has_name(&line("@a b"), b"a b") && has_name(&line("@a@b"), b"a\0b"));
        assert!(has_name(&line("@"), b""));
        assert!(!has_name(&line("@a @b"), b"b") && !has_name(&line("/x/ @b"), b"b"));
        assert!(!has_name(&line("/a"), b"a") && !has_name(&line("@ab"), b"b"));
        assert!(!has_name(b"Num       RefCount Protocol Flags    Type St Inode Path", b"Path"));
    }
}
