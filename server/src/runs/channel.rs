//! Our ends of the command's streams, read and written without blocking a thread.
//!
//! tokio's pipe types do for both kinds of streams: what is read and written is a descriptor, and
//! a terminal's near end is read, written and polled as a pipe is.

use super::start_error::StartError;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::net::unix::pipe;

/// The end a stream is read from.
#[derive(Debug)]
pub(super) struct Source(pipe::Receiver);

/// What there was to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

/// Reads from a descriptor that does not block. A terminal whose far end is closed by everyone says
/// EIO (pty(7)), which is its end; there is nothing more to be had after any other error either.
pub(super) fn read_now(from: BorrowedFd<'_>, buffer: &mut [u8]) -> Read {
    loop {
        match nix::unistd::read(from, buffer) {
            Ok(0) => return Read::End,
            Ok(length) => return Read::Bytes(length),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Read::Nothing,
            Err(_) => return Read::End,
        }
    }
}

/// What a pipe holds at most without a right to more (`/proc/sys/fs/pipe-max-size`): as much is there
/// to be read once the last process is gone, and whoever still fills it cannot make it more.
const MOST_LEFT: usize = 1 << 20;

/// Reads what there is now, at most as much as a pipe holds.
pub(super) fn read_rest(from: BorrowedFd<'_>, buffer: &mut [u8], mut keep: impl FnMut(&[u8])) {
    let mut left = MOST_LEFT;
    while left > 0
        && let Read::Bytes(length) = read_now(from, buffer)
    {
        keep(buffer.get(..length).unwrap_or_default());
        left = left.saturating_sub(length);
    }
}

/// The end a stream is written to.
#[derive(Debug)]
pub(super) struct Sink(pipe::Sender);

fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = fcntl(&fd, FcntlArg::F_GETFL)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(&fd, FcntlArg::F_SETFL(flags))?;
    Ok(fd)
}

impl Source {
    /// Takes the descriptor over.
    ///
    /// # Errors
    /// [`StartError::System`] if it cannot be watched.
    pub(super) fn new(fd: OwnedFd) -> Result<Self, StartError> {
        nonblocking(fd)
            .and_then(pipe::Receiver::from_owned_fd_unchecked)
            .map(Self)
            .map_err(StartError::doing("read the command's output"))
    }

    /// Reads what is there, at least a byte; `None` at the end. Safe to cancel.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            self.0.readable().await.ok()?;
            let read = self.0.try_io(|| match read_now(self.0.as_fd(), buffer) {
                Read::Nothing => Err(io::ErrorKind::WouldBlock.into()),
                Read::Bytes(length) => Ok(Some(length)),
                Read::End => Ok(None),
            });
            // Nothing after all: wait for more.
            if let Ok(length) = read {
                return length;
            }
        }
    }

    /// Reads what there is now.
    pub(super) fn rest(&self, buffer: &mut [u8], keep: impl FnMut(&[u8])) {
        read_rest(self.0.as_fd(), buffer, keep);
    }

    /// The descriptor, which does not block, to be read without the runtime.
    ///
    /// # Errors
    /// If the runtime cannot let go of it.
    pub(super) fn into_fd(self) -> io::Result<OwnedFd> {
        self.0.into_nonblocking_fd()
    }
}

impl Sink {
    /// Takes the descriptor over.
    ///
    /// # Errors
    /// [`StartError::System`] if it cannot be watched.
    pub(super) fn new(fd: OwnedFd) -> Result<Self, StartError> {
        nonblocking(fd)
            .and_then(pipe::Sender::from_owned_fd_unchecked)
            .map(Self)
            .map_err(StartError::doing("write the command's input"))
    }

    /// Writes some of `bytes`; how many. Safe to cancel.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.0.writable().await?;
            match self.0.try_write(bytes) {
                Err(error) if is_passing(&error) => {}
                done => return done,
            }
        }
    }

    /// Writes all of `bytes`.
    pub(super) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            written += self.write(rest).await?;
        }
        Ok(())
    }

    /// The descriptor, for what has nothing to do with writing.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
