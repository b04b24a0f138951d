//! Reads a command's streams, always, so that it never blocks on a full pipe.

use super::channel::Source;
use super::flood::{self, Drained};
use super::output::Output;
use super::screen::Screen;
use super::switches::Stream;
use crate::audit::{self, Hash};
use crate::secrets::{Patterns, Redactor};
use nono_sandbox::policy::{Exceeded, Resource};
use nono_schemas::AuditStream;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Bytes read at once: the size of a pipe.
const CHUNK: usize = 64 << 10;
/// A stream that filled this many chunks in a row is a flood.
const FLOOD: u32 = 8;

/// Whether output is passed on as it comes.
#[derive(Debug, Clone)]
pub(crate) enum Echo {
    /// It is only collected.
    Off,
    /// It is also written to this process's standard output and error: as it is, or made safe to
    /// look at where that is a terminal. Told when nobody takes what is written any more.
    Live(Arc<Notify>),
}

/// Where output is passed on to.
struct Sink {
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What stands between a program and a terminal.
    screen: Option<Screen>,
    /// Told when nobody takes it any more.
    lost: Option<Arc<Notify>>,
}

impl Echo {
    fn sink(self, stream: Stream) -> Sink {
        let screen = |terminal: bool| terminal.then(Screen::default);
        match (self, stream) {
            (Self::Off, _) => Sink { to: None, screen: None, lost: None },
            (Self::Live(lost), Stream::Stdout) => Sink {
                to: Some(Box::new(tokio::io::stdout())),
                screen: screen(std::io::stdout().is_terminal()),
                lost: Some(lost),
            },
            (Self::Live(lost), Stream::Stderr) => Sink {
                to: Some(Box::new(tokio::io::stderr())),
                screen: screen(std::io::stderr().is_terminal()),
                lost: Some(lost),
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
    enough: oneshot::Receiver<()>,
) -> AuditStream {
    let mut sink = target.echo.clone().sink(stream);
    let mut reading =
        Reading { keeper: Keeper::new(stream, target), chunk: vec![0; CHUNK], enough };
    let mut next = Some(from);
    while let Some(from) = next.take() {
        if reading.until_flood(&from, &mut sink).await == Stopped::Ended {
            break;
        }
        match tokio::task::spawn_blocking(|| reading.drain(from)).await {
            Ok(done) => (next, reading) = done,
            // A reader that panicked has nothing more to say.
            Err(_) => return AuditStream::default(),
        }
    }
    sink.pass_on(&reading.keeper.finish()).await;
    sink.finish().await;
    reading.keeper.summary()
}

/// A stream that is being read.
struct Reading {
    keeper: Keeper,
    chunk: Vec<u8>,
    enough: oneshot::Receiver<()>,
}

/// Why a stream is not read as it was any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    Ended,
    Flood,
}

impl Reading {
    /// Reads until the end, or until the stream turns out to be a flood. One that is passed on is
    /// none: it is as fast as who takes it.
    async fn until_flood(&mut self, from: &Source, sink: &mut Sink) -> Stopped {
        let mut full = 0;
        while full < FLOOD || sink.is_on() {
            let length = tokio::select! {
                biased;
                // First: a stream that always has more would never let it have its turn.
                _ = &mut self.enough => {
                    self.rest(from, sink).await;
                    return Stopped::Ended;
                }
                read = from.read(&mut self.chunk) => match read {
                    Some(length) => length,
                    None => return Stopped::Ended,
                },
            };
            full = if length == self.chunk.len() { full + 1 } else { 0 };
            let bytes = self.chunk.get(..length).unwrap_or_default();
            sink.pass_on(&self.keeper.keep(bytes)).await;
        }
        Stopped::Flood
    }

    /// Reads what is there, and waits for nothing: where the machine is busy, nobody may have come to
    /// read it yet.
    async fn rest(&mut self, from: &Source, sink: &mut Sink) {
        let mut rest = Vec::new();
        from.rest(&mut self.chunk, |bytes| rest.extend_from_slice(bytes));
        for bytes in rest.chunks(CHUNK) {
            sink.pass_on(&self.keeper.keep(bytes)).await;
        }
    }

    /// Reads a flood; the stream, if it goes on as an ordinary one.
    fn drain(mut self, from: Source) -> (Option<Source>, Self) {
        let Ok(fd) = from.into_fd() else { return (None, self) };
        let Self { keeper, chunk, enough } = &mut self;
        let told = || enough.try_recv() != Err(TryRecvError::Empty);
        let drained = flood::drain(&fd, chunk, told, |bytes| drop(keeper.keep(bytes)));
        let next = match drained {
            Drained::Calm => Source::new(fd).ok(),
            Drained::Ended => None,
        };
        (next, self)
    }
}

/// Does everything with a stream that is done once secrets are out of it: a hash of them would be
/// enough to try guesses on.
struct Keeper {
    target: Target,
    stream: Stream,
    redactor: Option<Redactor>,
    hasher: Option<Sha256>,
    kept: u64,
}

impl Keeper {
    fn new(stream: Stream, target: Target) -> Self {
        let redactor = target.secrets.clone().map(Redactor::new);
        let hasher = target.hashed.then(Sha256::new);
        Self { target, stream, redactor, hasher, kept: 0 }
    }

    /// Takes secrets out of what was read and keeps it; what may be passed on.
    fn keep<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let (clean, redactions) = match &mut self.redactor {
            None => (Cow::Borrowed(bytes), 0),
            Some(redactor) => {
                let (clean, redactions) = redactor.push(bytes);
                (clean.into(), redactions)
            }
        };
        self.keep_clean(&clean, redactions);
        clean
    }

    /// Keeps what was held back, because a secret might have begun in it.
    fn finish(&mut self) -> Vec<u8> {
        let Some(mut redactor) = self.redactor.take() else { return Vec::new() };
        let (rest, redactions) = redactor.finish();
        self.keep_clean(&rest, redactions);
        rest
    }

    fn keep_clean(&mut self, bytes: &[u8], redactions: u64) {
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
    }

    fn summary(self) -> AuditStream {
        let Self { hasher, kept, .. } = self;
        hasher.map_or_else(AuditStream::default, |hasher| audit::stream(kept, Hash::from(hasher)))
    }
}

impl Sink {
    /// Whether output is passed on at all.
    fn is_on(&self) -> bool {
        self.to.is_some()
    }

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
            if let Some(lost) = self.lost.take() {
                lost.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::arena::Arena;
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, write};

    /// On one thread nothing is read before the reader is told that it is enough.
    #[tokio::test]
    async fn what_is_there_is_read_although_nobody_came_to_read_it_in_time() {
        let (from, to) = pipe2(OFlag::O_CLOEXEC).unwrap();
        write(&to, b"said in time").unwrap();
        let output = Output::new(Arena::new(std::env::temp_dir()));
        let target = Target {
            output: Arc::clone(&output),
            secrets: None,
            echo: Echo::Off,
            most: None,
            hashed: false,
            flood: mpsc::channel(1).0,
        };
        let Pump { enough, task } = Pump::start(Source::new(from).unwrap(), Stream::Stdout, target);
        drop(enough);
        task.await.unwrap();
        assert_eq!(*output.total().borrow(), 12);
        drop(to);
    }
}
