//! Connections in, requests to the endpoint.

use crate::config::{Config, Limits};
use crate::connections::{Connection, Connections, Open};
use crate::counts::Counts;
use crate::endpoint::Endpoint;
use crate::principals::Principals;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{any, get};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::ServerHandler;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// Bytes of a request's header.
const HEADER_BYTES: usize = 32 << 10;
/// Connections to a listener that serves a text.
const TEXT_CONNECTIONS: usize = 16;
/// How long to leave the listener alone when the process has no descriptors left.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// How a server is told to end.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// Nobody new is let in.
    pub stop: CancellationToken,
    /// Streams that have no end of their own end.
    pub cut: CancellationToken,
}

/// Serves `/mcp` and `/healthz` until `ends.stop` is cancelled, and returns when the last answer
/// has been sent.
pub async fn serve<H: ServerHandler + Clone>(
    listener: TcpListener,
    principals: Principals<H>,
    config: &Config,
    counts: Arc<Counts>,
    ends: Ends,
) {
    let endpoint = Endpoint::new(principals, config, Arc::clone(&counts), &ends.cut);
    let connections = Connections::new(config.limits.connections, counts);
    let limits = config.limits;
    if let Some(resource) = endpoint.resource() {
        tokio::spawn(resource.keep_fresh(ends.stop.clone()));
    }
    let talk = Talk { router: router(endpoint), limits, tls: config.tls.clone(), stop: ends.stop };
    listen(listener, connections, talk).await;
}

/// Serves what `text` says at `path`, to everybody who reaches the listener.
pub async fn serve_text(
    listener: TcpListener,
    path: &str,
    text: impl Fn() -> String + Clone + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let limits = Limits { connections: TEXT_CONNECTIONS, ..Limits::default() };
    let connections = Connections::new(limits.connections, Arc::default());
    let router = Router::new().route(path, get(async move || text()));
    listen(listener, connections, Talk { router, limits, tls: None, stop }).await;
}

/// How to talk with whoever connects.
#[derive(Clone)]
struct Talk {
    router: Router,
    limits: Limits,
    tls: Option<Tls>,
    stop: CancellationToken,
}

/// Lets connections in and sees each through in a task of its own.
async fn listen(listener: TcpListener, connections: Arc<Connections>, talk: Talk) {
    let tasks = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            () = talk.stop.cancelled() => break,
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // All are in use by somebody who may: the newcomer can try again.
        let Some(open) = connections.admit() else { continue };
        tasks.spawn(talk.clone().begin(stream, open));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

fn router<H: ServerHandler + Clone>(endpoint: Endpoint<H>) -> Router {
    let mut router = Router::new().route("/healthz", get(async || "ok\n"));
    if let Some(resource) = endpoint.resource() {
        let document = format!("{}\n", resource.metadata());
        for path in resource.metadata_paths() {
            let answer = ([(CONTENT_TYPE, "application/json")], document.clone());
            router = router.route(&path, get(async move || answer));
        }
    }
    let endpoint = Arc::new(endpoint);
    let answer = move |mut request: Request<Body>| {
        let endpoint = Arc::clone(&endpoint);
        let connection = request.extensions_mut().remove::<Arc<Connection>>();
        async move { endpoint.answer(request, connection).await }
    };
    router.route("/mcp", any(answer))
}

impl Talk {
    /// Sees one connection through.
    async fn begin(self, stream: TcpStream, open: Open) {
        // Answers are many small writes; with Nagle's algorithm each waits 40 ms for the one before.
        let _slower_then = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.converse(stream, open).await };
        let shake = tokio::time::timeout(self.limits.header_time, tls.acceptor().accept(stream));
        let shaken = tokio::select! {
            shaken = shake => shaken,
            () = open.has_to_leave() => return,
            () = self.stop.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.converse(stream, open).await,
            Ok(Err(error)) => tracing::debug!(%error, "a client does not speak TLS with us"),
            Err(_) => tracing::debug!("a client took too long to speak TLS"),
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, open: Open) {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(open.connection());
            self.router.clone().call(request)
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_time)
            .max_header_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => Some(ended),
            () = open.has_to_leave() => return,
            () = self.stop.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// A connection that failed before it was accepted says nothing about the next one; a process
/// without descriptors has to wait for some.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(OUT_OF_FILES).await;
}
