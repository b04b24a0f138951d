//! The sessions of one principal: so many and no more.
//!
//! A client that forgets to end its sessions, one for each call, would else leave them here for as
//! long as the longest run may be silent.

use crate::redelivery::{Answers, Noted, OfCall, Resumed};
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// rmcp's sessions, of which the longest unused ends when there are too many.
#[derive(Debug)]
pub(crate) struct BoundedSessions {
    inner: LocalSessionManager,
    used: Mutex<Used>,
}

/// The sessions there are.
#[derive(Debug)]
struct Used {
    most: usize,
    clock: u64,
    sessions: HashMap<SessionId, Session>,
}

#[derive(Debug)]
struct Session {
    last_used: u64,
    answers: Arc<Answers>,
}

impl Used {
    fn touch(&mut self, id: &SessionId) {
        self.clock += 1;
        if let Some(session) = self.sessions.get_mut(id) {
            session.last_used = self.clock;
        }
    }

    /// Adds one; the one that has to end for it.
    fn add(&mut self, id: SessionId, answers: Arc<Answers>) -> Option<SessionId> {
        let full = self.sessions.len() >= self.most;
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
        let leaves = oldest.map(|(id, _)| id.clone()).filter(|_| full);
        if let Some(id) = &leaves {
            self.sessions.remove(id);
        }
        self.clock += 1;
        self.sessions.insert(id, Session { last_used: self.clock, answers });
        leaves
    }

    /// What a session was answered; nothing of one that has ended.
    fn answers(&self, id: &SessionId) -> Arc<Answers> {
        self.sessions.get(id).map_or_else(Arc::default, |session| Arc::clone(&session.answers))
    }
}

impl BoundedSessions {
    /// At most `most`, each of which ends after `idle` of silence.
    pub(crate) fn new(most: usize, idle: Option<Duration>) -> Self {
        let mut inner = LocalSessionManager::default();
        if idle.is_some() {
            inner.session_config.keep_alive = idle;
        }
        Self { inner, used: Mutex::new(Used { most, clock: 0, sessions: HashMap::new() }) }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for BoundedSessions {
    type Error = LocalSessionManagerError;
    type Transport = Noted<WorkerTransport<LocalSessionWorker>>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, inner) = self.inner.create_session().await?;
        let answers: Arc<Answers> = Arc::default();
        let leaves = self.used().add(id.clone(), Arc::clone(&answers));
        if let Some(oldest) = leaves {
            tracing::warn!("a client has too many sessions; the longest unused one ends");
            if let Err(error) = self.inner.close_session(&oldest).await {
                // It ended by itself meanwhile; the new one is none the worse for it.
                tracing::debug!(%error, "a session could not be closed");
            }
        }
        Ok((id, Noted { inner, answers }))
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
        self.used().sessions.remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let answers = self.used().answers(id);
        let request = match &message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        if let Some(request) = &request {
            answers.expect(request.clone());
        }
        let events = self.inner.create_stream(id, message).await?;
        Ok(OfCall { events: Box::pin(events), answers, request })
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
        match self.inner.resume(id, last_event_id.clone()).await {
            Ok(events) => Ok(Resumed::Live(Box::pin(events))),
            Err(error) => {
                let answers = self.used().answers(id);
                answers.after(&last_event_id).map(Resumed::Over).ok_or(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_ends() {
        let mut used = Used { most: 2, clock: 0, sessions: HashMap::new() };
        let add = |used: &mut Used, id: &str| used.add(id.into(), Arc::default());
        assert_eq!(add(&mut used, "a"), None);
        assert_eq!(add(&mut used, "b"), None);
        used.touch(&"a".into());
        used.touch(&"of nobody".into());
        assert_eq!(add(&mut used, "c"), Some("b".into()));
        assert_eq!(add(&mut used, "d"), Some("a".into()));
        assert_eq!(used.sessions.len(), 2);
    }
}
