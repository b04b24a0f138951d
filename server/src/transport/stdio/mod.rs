//! MCP over standard input and output.

mod channel;
mod id;
mod lines;

use super::service::Service;
use super::signals::Signals;
use crate::error::ServerError;
use crate::session::Session;
use channel::Channel;
use rmcp::ServiceExt;
use std::sync::Arc;
use std::time::Duration;
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
    let channel = Channel::new(reader, writer, Arc::clone(&eof));
    let serving = async {
        let service = Service::new(Arc::clone(&session));
        match service.serve(channel).await {
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
