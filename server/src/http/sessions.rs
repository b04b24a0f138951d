//! The sessions of one principal: so many and no more.
//!
//! A client that forgets to end its sessions, one for each call, would else leave them here for as
//! long as the longest run may be silent.

use futures_core::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::session::{
    ServerSseMessage, SessionId, SessionManager,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// rmcp's sessions, of which the longest unused ends when there are too many.
#[derive(Debug)]
pub(crate) struct BoundedSessions {
    inner: LocalSessionManager,
    used: Mutex<Used>,
}

/// When each session was last used.
#[derive(Debug)]
struct Used {
    most: usize,
    clock: u64,
    at: HashMap<SessionId, u64>,
}

impl Used {
    fn touch(&mut self, id: &SessionId) {
        self.clock += 1;
        if let Some(at) = self.at.get_mut(id) {
            *at = self.clock;
        }
    }

    /// Adds one; the one that has to end for it.
    fn add(&mut self, id: SessionId) -> Option<SessionId> {
        let full = self.at.len() >= self.most;
        let oldest = self.at.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
        let leaves = oldest.filter(|_| full);
        if let Some(id) = &leaves {
            self.at.remove(id);
        }
        self.clock += 1;
        self.at.insert(id, self.clock);
        leaves
    }
}

impl BoundedSessions {
    /// At most `most`, each of which ends after `idle` of silence.
    pub(crate) fn new(most: usize, idle: Option<Duration>) -> Self {
        let mut inner = LocalSessionManager::default();
        if idle.is_some() {
            inner.session_config.keep_alive = idle;
        }
        Self { inner, used: Mutex::new(Used { most, clock: 0, at: HashMap::new() }) }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for BoundedSessions {
    type Error = LocalSessionManagerError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.inner.create_session().await?;
        let leaves = self.used().add(id.clone());
        if let Some(oldest) = leaves {
            tracing::warn!("a client has too many sessions; the longest unused one ends");
            if let Err(error) = self.inner.close_session(&oldest).await {
                // It ended by itself meanwhile; the new one is none the worse for it.
                tracing::debug!(%error, "a session could not be closed");
            }
        }
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.used().touch(id);
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.used().at.remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.resume(id, last_event_id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_ends() {
        let mut used = Used { most: 2, clock: 0, at: HashMap::new() };
        assert_eq!(used.add("a".into()), None);
        assert_eq!(used.add("b".into()), None);
        used.touch(&"a".into());
        used.touch(&"of nobody".into());
        assert_eq!(used.add("c".into()), Some("b".into()));
        assert_eq!(used.add("d".into()), Some("a".into()));
        assert_eq!(used.at.len(), 2);
    }
}
