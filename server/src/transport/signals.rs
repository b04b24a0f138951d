//! The signals that ask a server to end.

use crate::error::ServerError;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, SIGINT and SIGHUP, watched.
#[derive(Debug)]
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// From now on they end nothing by themselves.
    ///
    /// # Errors
    /// [`ServerError::System`] names the one that cannot be watched.
    pub(super) fn watch() -> Result<Self, ServerError> {
        let watch = |kind, what| signal(kind).map_err(ServerError::doing(what));
        Ok(Self([
            watch(SignalKind::terminate(), "watch for SIGTERM")?,
            watch(SignalKind::interrupt(), "watch for SIGINT")?,
            watch(SignalKind::hangup(), "watch for SIGHUP")?,
        ]))
    }

    /// Ready once one of them came.
    pub(super) async fn came(&mut self) {
        let Self([terminate, interrupt, hangup]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
