//! The endpoint: a request becomes somebody's, is read in full, and goes to that one's handler.

use crate::access::{Access, NoAccess};
use crate::address;
use crate::answer::Turned;
use crate::config::{Answers, Config, Limits, Sessions, Share};
use crate::connections::{Connection, Hold};
use crate::counts::Counts;
use crate::held::hold;
use crate::oauth::Resource;
use crate::principals::{ByPrincipal, Principals};
use crate::sessions::BoundedSessions;
use crate::turns::Turns;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::Request;
use axum::response::Response;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rmcp::ServerHandler;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// One principal's part of the endpoint.
struct Room<H> {
    service: StreamableHttpService<H, BoundedSessions>,
    requests: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
    share: Share,
}

/// All of it.
pub(crate) struct Endpoint<H> {
    access: Access,
    limits: Limits,
    rooms: ByPrincipal<Room<H>>,
    turns: Arc<Turns>,
    counts: Arc<Counts>,
}

impl<H: ServerHandler + Clone> Endpoint<H> {
    /// An endpoint whose streams end when `cut` is cancelled.
    pub(crate) fn new(
        principals: Principals<H>,
        config: &Config,
        counts: Arc<Counts>,
        cut: &CancellationToken,
    ) -> Self {
        let (access, handlers) = principals.into_parts();
        let rooms = handlers.map(|(handler, share)| Room::new(handler, share, config, cut));
        Self { access, limits: config.limits, rooms, turns: Turns::of_machine(), counts }
    }

    /// What is asked of the tokens of an authorization server.
    pub(crate) fn resource(&self) -> Option<Arc<Resource>> {
        self.access.resource().cloned()
    }

    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> Response {
        let answered = self.try_answer(request, connection).await;
        let oauth = self.access.resource().map(Arc::as_ref);
        let response = answered.unwrap_or_else(|turned| turned.response(oauth));
        self.counts.answered(response.status().as_u16());
        response
    }

    async fn try_answer(
        &self,
        request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> Result<Response, Turned> {
        let (parts, body) = request.into_parts();
        address::check(&parts).map_err(Turned::Unclear)?;
        let principal = self.access.judge(&parts.headers).await.map_err(Turned::Away)?;
        // A token for nobody is as good as none.
        let room = self.rooms.get(principal).ok_or(Turned::Away(NoAccess::Unknown))?;
        let place = room.enter()?;
        let held = connection.map(Hold::new);
        let body = self.read(body).await?;
        let turn = self.turns.take(principal).await.bounded();
        let response = room.service.handle(Request::from_parts(parts, Body::from(body))).await;
        Ok(response.map(|body| hold(Body::new(body), (place, held), turn)))
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
    fn new(handler: H, share: Share, config: &Config, cut: &CancellationToken) -> Self {
        let idle = match config.sessions {
            Sessions::Kept { idle } => Some(idle),
            Sessions::None => None,
        };
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(BoundedSessions::new(share.sessions, idle)),
            rmcp_config(config, cut),
        );
        let rate = share.per_second.map(|n| RateLimiter::direct(Quota::per_second(n)));
        Self { service, requests: Arc::new(Semaphore::new(share.requests)), rate, share }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Turned> {
        if self.rate.as_ref().is_some_and(|rate| rate.check().is_err()) {
            return Err(Turned::Often(self.share.per_second.map_or(0, NonZeroU32::get)));
        }
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map_err(|_| Turned::Crowded(self.share.requests))
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
