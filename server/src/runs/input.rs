//! Writes a command's standard input: what the call brought, then what comes later.

use super::channel::Sink;
use super::streams::{Input, Size};
use nono_sandbox::sys;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::JoinHandle;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Everything was taken.
    All,
    /// The command did not read fast enough; so many bytes were taken.
    Part(usize),
}

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoInput {
    /// The run was started without an open input.
    Never,
    /// It was closed, or nobody reads any more.
    Closed,
}

/// The writing end of a command's standard input.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once closed, or if nothing may be added to what the call brought.
    channel: Mutex<Option<Arc<Sink>>>,
    /// Held while somebody writes, so that writes do not mix.
    turn: AsyncMutex<()>,
    first: Mutex<Option<JoinHandle<()>>>,
    first_done: watch::Receiver<bool>,
    open: bool,
    terminal: bool,
}

impl Writer {
    /// Starts writing what `input` brings.
    pub(super) fn start(channel: Option<Sink>, input: Input) -> Self {
        let channel = channel.map(Arc::new);
        let open = input.is_open();
        let terminal = matches!(input, Input::Terminal(..));
        let kept = channel.clone().filter(|_| open);
        let (done, first_done) = watch::channel(channel.is_none());
        let first = channel.map(|channel| {
            tokio::spawn(async move {
                first(&channel, input).await;
                done.send_replace(true);
            })
        });
        Self {
            channel: Mutex::new(kept),
            turn: AsyncMutex::default(),
            first: Mutex::new(first),
            first_done,
            open,
            terminal,
        }
    }

    /// Writes `bytes`, for at most `patience`; then closes the input if that is asked for.
    pub(super) async fn write(
        &self,
        bytes: &[u8],
        close: bool,
        patience: Duration,
    ) -> Result<Written, NoInput> {
        if !self.open {
            return Err(NoInput::Never);
        }
        let mut taken = 0;
        let write = async {
            let _turn = self.turn.lock().await;
            self.first_written().await;
            let channel = lock(&self.channel).clone().ok_or(NoInput::Closed)?;
            while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
                match channel.write(rest).await {
                    Ok(length) => taken += length,
                    Err(_) => return Err(NoInput::Closed),
                }
            }
            Ok(())
        };
        let done = tokio::time::timeout(patience, write).await;
        if close || matches!(done, Ok(Err(_))) {
            *lock(&self.channel) = None;
        }
        match done {
            Ok(done) => done.map(|()| Written::All),
            Err(_) => Ok(Written::Part(taken)),
        }
    }

    /// Changes the size of the terminal; `false` if there is none.
    pub(super) fn resize(&self, size: Size) -> bool {
        let channel = lock(&self.channel).clone().filter(|_| self.terminal);
        channel.is_some_and(|c| sys::set_window_size(c.fd(), size.rows, size.columns).is_ok())
    }

    /// Whether the command's input is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether more can be written.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.channel).is_some()
    }

    /// Gives up, and closes our end.
    pub(super) fn close(&self) {
        if let Some(task) = lock(&self.first).take() {
            task.abort();
        }
        *lock(&self.channel) = None;
    }

    /// Waits until what the call brought is written.
    async fn first_written(&self) {
        let mut done = self.first_done.clone();
        // An error means that the writing has ended, one way or the other.
        let _ended = done.wait_for(|done| *done).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what a call brought along. A command that does not read its input is its own business,
/// so errors end the writing and nothing else.
async fn first(to: &Sink, input: Input) {
    let written = match input {
        Input::Empty => Ok(()),
        Input::Bytes(bytes) | Input::Open(bytes) | Input::Terminal(_, bytes) => {
            to.write_all(&bytes).await
        }
        Input::Inherited => copy_own(to).await,
    };
    if let Err(error) = written {
        tracing::debug!(%error, "standard input was not read to its end");
    }
}

/// Copies this process's standard input.
async fn copy_own(to: &Sink) -> io::Result<()> {
    use tokio::io::AsyncReadExt;
    let mut stdin = tokio::io::stdin();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match stdin.read(&mut chunk).await? {
            0 => return Ok(()),
            length => to.write_all(chunk.get(..length).unwrap_or_default()).await?,
        }
    }
}
