//! MCP over standard input and output.

use super::service::Service;
use super::signals::Signals;
use crate::error::ServerError;
use crate::session::Session;
use rmcp::ServiceExt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;

/// How long runs may go on after the client closed our standard input. Not zero, because a client
/// may send one request and close; shorter than the two seconds after which clients send SIGTERM.
const EOF_GRACE: Duration = Duration::from_millis(1500);
/// How long answers may take to be written once all runs have ended.
const ANSWER_PATIENCE: Duration = Duration::from_millis(200);

/// Serves until the client closes standard input or a signal asks for the end; then every run has
/// ended.
///
/// # Errors
/// [`ServerError::Serve`] if the client does not speak MCP.
pub(crate) async fn serve(session: Arc<Session>) -> Result<(), ServerError> {
    let mut signals = Signals::watch()?;
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    let eof = Arc::new(Notify::new());
    let reader = Watched { inner: reader, eof: Arc::clone(&eof) };
    let serving = async {
        let service = Service::new(Arc::clone(&session));
        match service.serve((reader, writer)).await {
            Ok(running) => running.waiting().await.map(|_| ()).map_err(|e| e.to_string()),
            // A client that leaves without a word has not done anything wrong.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    };
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        served = &mut serving => Some(served),
        () = signals.came() => None,
        () = async { eof.notified().await; tokio::time::sleep(EOF_GRACE).await } => None,
    };
    session.close().await;
    let served = match ended {
        Some(served) => served,
        // Runs that were ended have answers, which the client may still want.
        None => tokio::time::timeout(ANSWER_PATIENCE, serving).await.unwrap_or(Ok(())),
    };
    served.map_err(ServerError::Serve)
}

/// A reader that tells when its input has ended.
struct Watched<R> {
    inner: R,
    eof: Arc<Notify>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let ended = match &polled {
            Poll::Ready(Ok(())) => room && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.eof.notify_one();
        }
        polled
    }
}
