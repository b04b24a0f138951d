//! A connection to one client: its messages in, ours out, and an answer to whatever is no message.
//!
//! rmcp's own transport drops lines that are no JSON or too long, and the client that sent one
//! waits for ever: half a character in a command is enough.

use super::lines::{Line, Lines, MAX_MESSAGE};
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::JoinHandle;

/// Answers and notifications that may wait for a client to read them before nothing more is read.
const MAX_UNREAD: usize = 256;

/// JSON-RPC messages in lines.
#[derive(Debug)]
pub(super) struct Channel<R, W> {
    lines: Lines<R>,
    output: Arc<Mutex<W>>,
    eof: Arc<Notify>,
    /// Messages of ours that may wait to be read.
    room: Arc<Semaphore>,
    /// An answer being written to what was no message. Nothing more is read before: who sends
    /// rubbish and reads nothing costs no memory.
    answering: Option<JoinHandle<io::Result<()>>>,
}

impl<R: AsyncRead + Unpin, W> Channel<R, W> {
    /// Notifies `eof` when the input has ended.
    pub(super) fn new(input: R, output: W, eof: Arc<Notify>) -> Self {
        let lines = Lines::new(input, MAX_MESSAGE);
        let (output, room) = (Arc::new(Mutex::new(output)), Arc::new(Semaphore::new(MAX_UNREAD)));
        Self { lines, output, eof, room, answering: None }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    output: Arc<Mutex<W>>,
    message: ServerJsonRpcMessage,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(&message)?;
    line.push(b'\n');
    let mut output = output.lock().await;
    output.write_all(&line).await?;
    output.flush().await
}

impl<R, W> Transport<RoleServer> for Channel<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        // Beyond that many there is no place to hold, and nothing more is read.
        let place = Arc::clone(&self.room).try_acquire_owned();
        let writing = write(Arc::clone(&self.output), message);
        async move {
            let written = writing.await;
            drop(place);
            written
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if let Some(answering) = &mut self.answering {
                // The output is gone: the next answer says so to whom it concerns.
                let _ = answering.await;
                self.answering = None;
            }
            // A client that reads nothing is asked for nothing more, or its answers would pile up.
            drop(self.room.acquire().await);
            match self.lines.next().await {
                Ok(Some(Line::Message(message))) => return Some(*message),
                Ok(Some(Line::Unreadable(id, error))) => {
                    tracing::debug!(?id, message = %error.message, "a line that is no message");
                    let answer = ServerJsonRpcMessage::error(error, id);
                    // In a task of its own: this future may be dropped, and half a line must not
                    // be all that is written.
                    let writing = write(Arc::clone(&self.output), answer);
                    self.answering = Some(tokio::spawn(writing));
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "standard input cannot be read");
                    break;
                }
            }
        }
        self.eof.notify_one();
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.lock().await.flush().await
    }
}
