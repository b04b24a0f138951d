//! Reads a command's streams, always, so that it never blocks on a full pipe.

use super::channel::Source;
use super::output::Output;
use super::screen::Screen;
use super::switches::Stream;
use crate::audit::{self, Hash};
use crate::secrets::{Patterns, Redactor};
use nono_sandbox::policy::{Exceeded, Resource};
use nono_schemas::AuditStream;
use sha2::{Digest, Sha256};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Bytes read at once: the size of a pipe.
const CHUNK: usize = 64 << 10;
/// A stream that filled this many chunks in a row is a flood.
const FLOOD: u32 = 8;
/// Bytes read at once from a flood.
const LARGE_CHUNK: usize = 512 << 10;

/// Whether output is passed on as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It is only collected.
    Off,
    /// It is also written to this process's standard output and error: as it is, or made safe to
    /// look at where that is a terminal.
    Live,
}

/// Where output is passed on to.
struct Sink {
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What stands between a program and a terminal.
    screen: Option<Screen>,
}

impl Echo {
    fn sink(self, stream: Stream) -> Sink {
        let screen = |terminal: bool| terminal.then(Screen::default);
        match (self, stream) {
            (Self::Off, _) => Sink { to: None, screen: None },
            (Self::Live, Stream::Stdout) => Sink {
                to: Some(Box::new(tokio::io::stdout())),
                screen: screen(std::io::stdout().is_terminal()),
            },
            (Self::Live, Stream::Stderr) => Sink {
                to: Some(Box::new(tokio::io::stderr())),
                screen: screen(std::io::stderr().is_terminal()),
            },
        }
    }
}

/// Where output goes and how much there may be.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) output: Arc<Output>,
    /// What is taken out of it.
    pub(super) secrets: Option<Arc<Patterns>>,
    pub(super) echo: Echo,
    /// Bytes of both streams together.
    pub(super) most: Option<u64>,
    /// Whether what is read is also hashed.
    pub(super) hashed: bool,
    /// Told once when there are more.
    pub(super) flood: mpsc::Sender<Exceeded>,
}

/// Reads one stream to its end.
#[derive(Debug)]
pub(super) struct Pump {
    enough: oneshot::Sender<()>,
    task: JoinHandle<AuditStream>,
}

impl Pump {
    /// Starts reading.
    pub(super) fn start(from: Source, stream: Stream, target: Target) -> Self {
        let (enough, told) = oneshot::channel();
        Self { enough, task: tokio::spawn(pump(from, stream, target, told)) }
    }

    /// Waits for the end of the stream, but not longer than `patience`; what came of it.
    pub(super) async fn finish(mut self, patience: Duration) -> AuditStream {
        let read = match tokio::time::timeout(patience, &mut self.task).await {
            Ok(read) => read,
            Err(_) => {
                tracing::warn!("a pipe stayed open after the command's last process had ended");
                drop(self.enough);
                self.task.await
            }
        };
        // A reader that panicked has nothing more to say.
        read.unwrap_or_default()
    }
}

/// Reads until end of file, an error, or until the other end of `enough` is gone.
async fn pump(
    from: Source,
    stream: Stream,
    target: Target,
    mut enough: oneshot::Receiver<()>,
) -> AuditStream {
    let mut redactor = target.secrets.clone().map(Redactor::new);
    let mut keeper = Keeper {
        sink: target.echo.sink(stream),
        hasher: target.hashed.then(Sha256::new),
        kept: 0,
        stream,
        target,
    };
    let mut chunk = vec![0; CHUNK];
    let mut full = 0;
    loop {
        let length = tokio::select! {
            biased;
            // First: a flood would never let it have its turn.
            _ = &mut enough => break,
            read = from.read(&mut chunk) => match read {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            },
        };
        let bytes = chunk.get(..length).unwrap_or_default();
        match &mut redactor {
            None => keeper.keep(bytes, 0).await,
            Some(redactor) => {
                let (clean, count) = redactor.push(bytes);
                keeper.keep(&clean, count).await;
            }
        }
        full = if length == chunk.len() { full + 1 } else { 0 };
        if full == FLOOD && chunk.len() == CHUNK {
            from.enlarge();
            chunk = vec![0; LARGE_CHUNK];
        }
    }
    if let Some(mut redactor) = redactor {
        let (rest, count) = redactor.finish();
        keeper.keep(&rest, count).await;
    }
    keeper.sink.finish().await;
    let Keeper { hasher, kept, .. } = keeper;
    hasher.map_or_else(AuditStream::default, |hasher| audit::stream(kept, Hash::from(hasher)))
}

/// Does everything with a stream that is done once secrets are out of it: a hash of them would be
/// enough to try guesses on.
struct Keeper {
    target: Target,
    stream: Stream,
    sink: Sink,
    hasher: Option<Sha256>,
    kept: u64,
}

impl Keeper {
    /// Keeps what was read, with so many secrets taken out of it, and passes it on.
    async fn keep(&mut self, bytes: &[u8], redactions: u64) {
        self.kept += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        let total = self.target.output.push(self.stream, bytes, redactions);
        if let Some(limit) = self.target.most.filter(|most| total > *most) {
            // Both streams may say so; once is enough.
            let _said_before =
                self.target.flood.try_send(Exceeded { resource: Resource::Output, limit });
        }
        self.sink.pass_on(bytes).await;
    }
}

impl Sink {
    /// Passes output on.
    async fn pass_on(&mut self, bytes: &[u8]) {
        match &mut self.screen {
            None => self.write(bytes).await,
            Some(screen) => {
                let shown = screen.push(bytes);
                self.write(shown.as_bytes()).await;
            }
        }
    }

    /// Passes on what was held back.
    async fn finish(&mut self) {
        if let Some(mut screen) = self.screen.take() {
            self.write(screen.finish().as_bytes()).await;
        }
    }

    /// Writes; a place that fails is not tried again.
    async fn write(&mut self, bytes: &[u8]) {
        let Some(to) = &mut self.to else { return };
        let written = async {
            to.write_all(bytes).await?;
            to.flush().await
        };
        if written.await.is_err() {
            self.to = None;
        }
    }
}
