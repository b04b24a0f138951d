//! Reads a stream that writes faster than it is read, on a thread that does nothing else.
//!
//! The runtime would be woken for each write, from another processor, which takes longer than
//! reading what was written: a gigabyte in twice the time.

use super::channel::{Read, read_now, read_rest};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};

/// A stream with nothing to read for so long is no flood any more, in milliseconds.
const CALM: u8 = 10;

/// Why a stream is not read here any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// It came to an end, or is to be read no longer.
    Ended,
    /// It is no flood any more.
    Calm,
}

/// Reads what `from`, a descriptor that does not block, has, until it ends, is calm or `told` to be
/// enough.
pub(super) fn drain(
    from: &OwnedFd,
    chunk: &mut [u8],
    mut told: impl FnMut() -> bool,
    mut keep: impl FnMut(&[u8]),
) -> Drained {
    let mut filled = 0;
    let end = loop {
        if told() {
            keep(chunk.get(..filled).unwrap_or_default());
            filled = 0;
            read_rest(from.as_fd(), chunk, &mut keep);
            break Drained::Ended;
        }
        match read_now(from.as_fd(), chunk.get_mut(filled..).unwrap_or_default()) {
            Read::Bytes(length) => {
                filled += length;
                if filled < chunk.len() {
                    continue;
                }
            }
            Read::Nothing if filled == 0 && !has_more(from) => break Drained::Calm,
            Read::Nothing => {}
            Read::End => break Drained::Ended,
        }
        keep(chunk.get(..filled).unwrap_or_default());
        filled = 0;
    };
    keep(chunk.get(..filled).unwrap_or_default());
    end
}

/// Waits for something to read, or for the end.
fn has_more(from: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
    // A signal is nobody's end: there will be another look.
    matches!(poll(&mut fds, PollTimeout::from(CALM)), Ok(1) | Err(Errno::EINTR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, write};

    fn drained(from: &OwnedFd, told: impl FnMut() -> bool) -> (Drained, Vec<u8>) {
        let (mut chunk, mut all) = ([0; 4], Vec::new());
        let why = drain(from, &mut chunk, told, |bytes| all.extend_from_slice(bytes));
        (why, all)
    }

    #[test]
    fn reads_to_the_end() {
        let (from, to) = pipe2(OFlag::O_NONBLOCK).unwrap();
        write(&to, b"more than a chunk").unwrap();
        drop(to);
        assert_eq!(drained(&from, || false), (Drained::Ended, b"more than a chunk".to_vec()));
    }

    #[test]
    fn stops_when_nothing_comes_and_when_told() {
        let (from, to) = pipe2(OFlag::O_NONBLOCK).unwrap();
        write(&to, b"begun").unwrap();
        assert_eq!(drained(&from, || false), (Drained::Calm, b"begun".to_vec()));
        write(&to, b"and more").unwrap();
        let mut reads = 0..1;
        let told = || reads.next().is_none();
        assert_eq!(drained(&from, told), (Drained::Ended, b"and more".to_vec()));
    }
}
