//! The command's standard streams, seen from the server.

use super::capture::{Capture, Captured};
use crate::error::ServerError;
use nono_sandbox::control::Stdio;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Bytes read at once: the size of a pipe.
const CHUNK: usize = 64 << 10;

/// What the command reads from standard input.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing: `/dev/null`.
    Empty,
    /// These bytes, then end of file.
    Bytes(Vec<u8>),
    /// Whatever this process reads from its own, copied through a pipe: the command never holds
    /// the terminal itself.
    Inherited,
}

/// Whether output is passed on as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It is only collected.
    Off,
    /// It is also written to this process's standard output and error.
    Live,
}

type Sink = Option<Box<dyn AsyncWrite + Send + Unpin>>;

impl Echo {
    /// Where to write standard output and standard error.
    pub(super) fn sinks(self) -> (Sink, Sink) {
        match self {
            Self::Off => (None, None),
            Self::Live => {
                (Some(Box::new(tokio::io::stdout())), Some(Box::new(tokio::io::stderr())))
            }
        }
    }
}

/// The server's ends of the pipes.
#[derive(Debug)]
pub(super) struct Streams {
    /// Write end, if the command has a standard input.
    pub(super) stdin: Option<OwnedFd>,
    /// Read end.
    pub(super) stdout: OwnedFd,
    /// Read end.
    pub(super) stderr: OwnedFd,
}

impl Streams {
    /// Opens the pipes: the command's ends, and ours.
    ///
    /// # Errors
    /// [`ServerError::System`] if descriptors have run out.
    pub(super) fn open(input: &Input) -> Result<(Stdio, Self), ServerError> {
        let pipe = || std::io::pipe().map_err(ServerError::doing("make a pipe"));
        let (stdin, feed) = match input {
            Input::Empty => {
                let null = File::open("/dev/null");
                (null.map_err(ServerError::doing("open /dev/null"))?.into(), None)
            }
            Input::Bytes(_) | Input::Inherited => {
                let (read, write) = pipe()?;
                (read.into(), Some(write.into()))
            }
        };
        let (stdout, stdout_writer) = pipe()?;
        let (stderr, stderr_writer) = pipe()?;
        let theirs = Stdio { stdin, stdout: stdout_writer.into(), stderr: stderr_writer.into() };
        Ok((theirs, Self { stdin: feed, stdout: stdout.into(), stderr: stderr.into() }))
    }
}

/// Writes a command's standard input; gives up when dropped.
#[derive(Debug)]
pub(super) struct Feed(Option<JoinHandle<()>>);

impl Feed {
    /// Starts writing.
    ///
    /// # Errors
    /// [`ServerError::System`] if the pipe cannot be used.
    pub(super) fn start(to: Option<OwnedFd>, input: Input) -> Result<Self, ServerError> {
        let Some(to) = to else { return Ok(Self(None)) };
        let mut to =
            pipe::Sender::from_owned_fd(to).map_err(ServerError::doing("write standard input"))?;
        Ok(Self(Some(tokio::spawn(async move {
            // A command that does not read its input is its own business, so errors end the
            // writing and nothing else.
            let written = match input {
                Input::Empty => Ok(()),
                Input::Bytes(bytes) => to.write_all(&bytes).await,
                Input::Inherited => {
                    tokio::io::copy(&mut tokio::io::stdin(), &mut to).await.map(|_| ())
                }
            };
            if let Err(error) = written {
                tracing::debug!(%error, "standard input was not read to its end");
            }
        }))))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Reads one stream to its end, so that the command never blocks on a full pipe.
#[derive(Debug)]
pub(super) struct Pump {
    enough: oneshot::Sender<()>,
    task: JoinHandle<Captured>,
}

impl Pump {
    /// Starts reading.
    ///
    /// # Errors
    /// [`ServerError::System`] if the pipe cannot be used.
    pub(super) fn start(from: OwnedFd, sink: Sink) -> Result<Self, ServerError> {
        let from = pipe::Receiver::from_owned_fd(from)
            .map_err(ServerError::doing("read the command's output"))?;
        let (enough, told) = oneshot::channel();
        Ok(Self { enough, task: tokio::spawn(pump(from, sink, told)) })
    }

    /// Waits for the end of the stream, but not longer than `patience`.
    pub(super) async fn finish(mut self, patience: Duration) -> Captured {
        if let Ok(done) = tokio::time::timeout(patience, &mut self.task).await {
            return done.unwrap_or_default();
        }
        tracing::warn!("a pipe stayed open after the command's last process had ended");
        drop(self.enough);
        self.task.await.unwrap_or_default()
    }
}

/// Reads until end of file, an error, or until the other end of `enough` is gone.
async fn pump(
    mut from: pipe::Receiver,
    mut sink: Sink,
    mut enough: oneshot::Receiver<()>,
) -> Captured {
    let mut capture = Capture::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = tokio::select! {
            biased;
            read = from.read(&mut chunk) => match read {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            },
            _ = &mut enough => break,
        };
        let bytes = &chunk[..length];
        capture.push(bytes);
        let passed_on = match &mut sink {
            Some(to) => {
                async {
                    to.write_all(bytes).await?;
                    to.flush().await
                }
                .await
            }
            None => Ok(()),
        };
        if passed_on.is_err() {
            sink = None;
        }
    }
    capture.finish()
}
