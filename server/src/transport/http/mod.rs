//! MCP over Streamable HTTP.

mod token;

pub(crate) use token::TOKEN_VARIABLE;

use super::service::Service;
use super::signals::Signals;
use crate::error::ServerError;
use crate::session::{Session, Setup};
use nono_http::{Access, Answers, BadToken, Config, Principal, Sessions};
use nono_sandbox::path::PathError;
use nono_schemas::MAX_TIMEOUT_MS;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A session may be silent for as long as the longest run and this.
const BEYOND_ANY_RUN: Duration = Duration::from_secs(300);
/// Requests a client may have open at once: each may wait for a run.
const REQUESTS: usize = 256;
/// How long answers may take to be sent once all runs have ended.
const ANSWER_PATIENCE: Duration = Duration::from_millis(200);

/// Where and how to listen, as the operator said it.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// A proxy in front takes care of encryption, so the address may be a public one.
    pub(crate) behind_proxy: bool,
    /// More names that clients may call this server by.
    pub(crate) hosts: Vec<String>,
    /// More origins whose pages may call this server.
    pub(crate) origins: Vec<String>,
}

/// Why MCP cannot be served over HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another address for --http")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address is not a loopback one.
    #[error(
        "{0} can be reached from other machines, where the token would travel in the clear; listen \
         on 127.0.0.1, or say --behind-proxy if a proxy that speaks TLS is the only one that \
         reaches it"
    )]
    Public(SocketAddr),
    /// A public server without a name.
    #[error(
        "a server that others reach has to know its name, or any page could point its own name \
         here; give it with --http-host, such as --http-host mcp.example.com"
    )]
    Nameless,
    /// The token in the environment is none.
    #[error("NONO_MCP_TOKEN: {0}")]
    Variable(BadToken),
    /// There is no place to keep a token in.
    #[error("neither NONO_MCP_TOKEN nor --token-file nor HOME is set; set one of them")]
    Homeless,
    /// The token's file cannot be used.
    #[error("token file {}: {source}; name a file with a token with --token-file", .path.display())]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The token's file keeps no secret.
    #[error("token file {} {problem}", .path.display())]
    OpenToken {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The token's file cannot be named in a policy.
    #[error("token file: {0}")]
    TokenPath(#[from] PathError),
    /// There is no token in the file.
    #[error("token file {}: {problem}", .path.display())]
    BadToken {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: BadToken,
    },
}

/// Serves until a signal asks for the end; then every run has ended.
///
/// # Errors
/// [`ServerError`] if the setup cannot be used or the address cannot be had.
pub(crate) async fn serve(mut setup: Setup, listen: Listen) -> Result<(), ServerError> {
    let config = config(&listen)?;
    let found = token::find(listen.token_file.as_deref())?;
    setup.closed.extend(found.closed.iter().cloned());
    let mut signals = Signals::watch()?;
    let address = listen.address;
    let listener =
        TcpListener::bind(address).await.map_err(|source| HttpError::Listen { address, source })?;
    let address = listener.local_addr().map_err(ServerError::doing("ask for the address"))?;
    let session = Session::open(&setup)?;
    let mut access = Access::default();
    access.add(found.token.digest(), 0);
    let handler = Service::new(Arc::clone(&session));
    let principals = vec![Principal { handler, requests: REQUESTS }];
    announce(address, &found);
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let serving = {
        let (stop, cut) = (stop.clone(), cut.clone());
        async move { nono_http::serve(listener, principals, access, &config, stop, cut).await }
    };
    let serving = tokio::spawn(serving);
    signals.came().await;
    stop.cancel();
    session.close().await;
    // Runs that were ended have answers, which their clients may still want.
    cut_after(ANSWER_PATIENCE, serving, &cut).await;
    Ok(())
}

/// Waits for the last answers, then ends the streams that have no end of their own.
async fn cut_after(
    patience: Duration,
    serving: tokio::task::JoinHandle<()>,
    cut: &CancellationToken,
) {
    if tokio::time::timeout(patience, serving).await.is_err() {
        tracing::debug!("some clients were still connected when the server ended");
    }
    cut.cancel();
}

fn config(listen: &Listen) -> Result<Config, HttpError> {
    if !listen.address.ip().is_loopback() {
        if !listen.behind_proxy {
            return Err(HttpError::Public(listen.address));
        }
        if listen.hosts.is_empty() {
            return Err(HttpError::Nameless);
        }
    }
    let longest = Duration::from_millis(MAX_TIMEOUT_MS);
    let mut config = Config::loopback(Sessions::Kept { idle: longest + BEYOND_ANY_RUN });
    config.answers = Answers::Stream;
    config.hosts.extend(listen.hosts.iter().cloned());
    config.origins.extend(listen.origins.iter().cloned());
    Ok(config)
}

/// Tells the operator where the server is and where its token is; never the token.
fn announce(address: SocketAddr, found: &token::Found) {
    let token = match &found.file {
        Some(file) => format!("the token is in {}", file.display()),
        None => format!("the token is the one in {TOKEN_VARIABLE}"),
    };
    let line = format!("nono-mcp: serving MCP on http://{address}/mcp; {token}\n");
    let _nobody_listens = io::stderr().write_all(line.as_bytes());
}
