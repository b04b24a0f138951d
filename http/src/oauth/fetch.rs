//! One document over HTTPS: no redirects, no proxy, no more bytes and time than a key set needs.

use axum::http::header::{ACCEPT, HOST, USER_AGENT};
use axum::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Time for all of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// More bytes are no key set.
pub(super) const MOST_BYTES: usize = 256 << 10;

/// An address that keys are fetched from.
#[derive(Debug, Clone)]
pub struct KeyUrl {
    uri: Uri,
    name: ServerName<'static>,
    host: String,
    port: u16,
}

/// Why keys cannot be fetched from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is no address.
    #[error("give an address such as `https://auth.example.com/.well-known/jwks.json`")]
    NotAbsolute,
    /// Anybody on the way could put keys of their own in.
    #[error("the address has to begin with https://, or others could put keys of their own there")]
    NotHttps,
}

/// Why a document did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is nobody to say whose certificate is good.
    #[error(
        "no certificates of authorities are known here; install them (ca-certificates) or name them in SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// The connection failed.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The exchange failed.
    #[error("the exchange failed: {0}")]
    Exchange(hyper::Error),
    /// The other side answered something else.
    #[error("the answer was {0}")]
    Status(StatusCode),
    /// The document broke off or was too long.
    #[error("the document could not be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Slow,
}

impl KeyUrl {
    /// An address as the operator wrote it.
    ///
    /// # Errors
    /// [`BadUrl`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::NotAbsolute)?;
        let host = uri.host().ok_or(BadUrl::NotAbsolute)?.to_owned();
        if uri.scheme_str() != Some("https") {
            return Err(BadUrl::NotHttps);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| BadUrl::NotAbsolute)?;
        let port = uri.port_u16().unwrap_or(443);
        Ok(Self { uri, name, host, port })
    }

    /// As it was written.
    pub(super) fn text(&self) -> String {
        self.uri.to_string()
    }
}

/// TLS as a client that trusts this machine's authorities.
pub(super) fn client() -> Result<TlsConnector, FetchError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(FetchError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Fetches the document.
pub(super) async fn get(url: &KeyUrl, client: &TlsConnector) -> Result<Bytes, FetchError> {
    tokio::time::timeout(PATIENCE, exchange(url, client)).await.unwrap_or(Err(FetchError::Slow))
}

async fn exchange(url: &KeyUrl, client: &TlsConnector) -> Result<Bytes, FetchError> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await;
    let stream = stream.map_err(FetchError::Connect)?;
    let stream = client.connect(url.name.clone(), stream).await.map_err(FetchError::Connect)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(FetchError::Exchange)?;
    let path = url.uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.uri.authority().map_or(url.host.as_str(), |authority| authority.as_str());
    let request = Request::get(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("nono-mcp/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| FetchError::Body(error.into()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(FetchError::Exchange)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        Ok(body.map_err(FetchError::Body)?.to_bytes())
    };
    // The connection is moved on by whoever waits for the answer, and goes with it.
    tokio::pin!(connection, answer);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            ended = &mut connection, if open => {
                ended.map_err(FetchError::Exchange)?;
                open = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_only() {
        let url = KeyUrl::parse("https://auth.example.com/keys?x=1").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("auth.example.com", 443));
        assert_eq!(KeyUrl::parse("https://[::1]:8443/keys").unwrap().host, "::1");
        for (text, why) in [
            ("http://127.0.0.1/keys", BadUrl::NotHttps),
            ("file:///keys", BadUrl::NotAbsolute),
            ("/keys", BadUrl::NotAbsolute),
            ("", BadUrl::NotAbsolute),
        ] {
            assert_eq!(KeyUrl::parse(text).unwrap_err(), why, "{text}");
        }
    }
}
