//! The endpoint: a request becomes somebody's, is read in full, and goes to that one's handler.

use crate::access::Access;
use crate::answer::Turned;
use crate::config::{Answers, Config, Limits, Sessions};
use crate::connections::{Connection, Hold};
use crate::held::hold;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::Request;
use axum::response::Response;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Somebody who may ask.
#[derive(Debug, Clone)]
pub struct Principal<H> {
    /// Answers what it asks; shared with nobody else.
    pub handler: H,
    /// Requests it may have open at once.
    pub requests: usize,
}

/// One principal's part of the endpoint.
struct Room<H> {
    service: StreamableHttpService<H, LocalSessionManager>,
    requests: Arc<Semaphore>,
    most: usize,
}

/// All of it.
pub(crate) struct Endpoint<H> {
    access: Access,
    limits: Limits,
    rooms: Vec<Room<H>>,
}

impl<H: ServerHandler + Clone> Endpoint<H> {
    /// An endpoint whose streams end when `cut` is cancelled.
    pub(crate) fn new(
        principals: Vec<Principal<H>>,
        access: Access,
        config: &Config,
        cut: &CancellationToken,
    ) -> Self {
        let rooms = principals.into_iter().map(|p| Room::new(p, config, cut)).collect();
        Self { access, limits: config.limits, rooms }
    }

    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> Response {
        self.try_answer(request, connection).await.unwrap_or_else(Turned::response)
    }

    async fn try_answer(
        &self,
        request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> Result<Response, Turned> {
        let place = self.access.judge(request.headers()).map_err(Turned::Away)?;
        // A token for nobody is as good as none.
        let room = self.rooms.get(place).ok_or(Turned::Away(crate::access::Refused::Unknown))?;
        let place = room.enter()?;
        let held = connection.map(Hold::new);
        let (parts, body) = request.into_parts();
        let body = self.read(body).await?;
        let response = room.service.handle(Request::from_parts(parts, Body::from(body))).await;
        Ok(response.map(|body| hold(Body::new(body), (place, held))))
    }

    async fn read(&self, body: Body) -> Result<Bytes, Turned> {
        let Limits { body_bytes, body_time, .. } = self.limits;
        // A length that is announced need not be waited for.
        if body.size_hint().lower() > body_bytes as u64 {
            return Err(Turned::Large(body_bytes));
        }
        match tokio::time::timeout(body_time, to_bytes(body, body_bytes)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_length(&error) => Err(Turned::Large(body_bytes)),
            Ok(Err(_)) => Err(Turned::Broken),
            Err(_) => Err(Turned::Slow),
        }
    }
}

impl<H: ServerHandler + Clone> Room<H> {
    fn new(principal: Principal<H>, config: &Config, cut: &CancellationToken) -> Self {
        let Principal { handler, requests } = principal;
        let mut sessions = LocalSessionManager::default();
        if let Sessions::Kept { idle } = config.sessions {
            sessions.session_config.keep_alive = Some(idle);
        }
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(sessions),
            rmcp_config(config, cut),
        );
        Self { service, requests: Arc::new(Semaphore::new(requests)), most: requests }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Turned> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map_err(|_| Turned::Crowded(self.most))
    }
}

fn rmcp_config(config: &Config, cut: &CancellationToken) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(config.hosts.iter().cloned())
        .with_allowed_origins(config.origins.iter().cloned())
        .enforce_origin_validation()
        .with_legacy_session_mode(config.sessions != Sessions::None)
        .with_json_response(config.answers == Answers::Json)
        .with_max_request_body_bytes(config.limits.body_bytes)
        .with_cancellation_token(cut.child_token())
}

/// Whether an error says that a body is too long.
fn is_length(error: &axum::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
