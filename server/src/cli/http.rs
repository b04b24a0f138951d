//! What the command line says about HTTP.

use crate::transport::{Exposure, Listen};
use axum::http::uri::Authority;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Serving over HTTP.
#[derive(Debug, Args)]
pub(super) struct Http {
    /// Serve MCP over Streamable HTTP at /mcp on this address, such as 127.0.0.1:8931; a plain
    /// number is a port on 127.0.0.1, and 0 stands for any free one.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    http: Option<SocketAddr>,
    /// File with the token that clients have to show. Without it the token is taken from
    /// NONO_MCP_TOKEN, or made once and kept in a file whose path is printed.
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with_all = ["stdio", "principals"])]
    token_file: Option<PathBuf>,
    /// Serve several principals, each with a token, workspaces, a profile and limits of its own:
    /// a JSON file (docs/http.md). Nothing of one is visible to another.
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with_all = ["stdio", "workspace"])]
    principals: Option<PathBuf>,
    /// Keep no sessions, so that any server behind a balancer can answer a request.
    #[arg(long, requires = "http", conflicts_with = "stdio")]
    http_stateless: bool,
    /// Answer with one JSON document instead of an event stream, unless there is progress to tell.
    #[arg(long, requires = "http", conflicts_with = "stdio")]
    http_json: bool,
    /// Connections open at once.
    #[arg(long, value_name = "N", requires = "http", conflicts_with = "stdio", default_value_t = 512,
          value_parser = clap::value_parser!(u16).range(8..))]
    http_connections: u16,
    /// Serve counters at /metrics on this loopback address, in the format of Prometheus.
    #[arg(long, value_name = "ADDR", requires = "http", conflicts_with = "stdio", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// File with the certificate (PEM, with those between it and the authority) to speak TLS with.
    #[arg(long, value_name = "FILE", requires_all = ["http", "tls_key"], conflicts_with = "stdio")]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert", conflicts_with = "stdio")]
    tls_key: Option<PathBuf>,
    /// The address may be one that other machines reach: with TLS and a name (--http-host).
    #[arg(long, requires_all = ["http", "tls_cert"], conflicts_with = "stdio")]
    public: bool,
    /// A proxy that speaks TLS with clients is the only one that reaches the address, which then
    /// need not be a loopback one.
    #[arg(long, requires = "http", conflicts_with = "stdio")]
    behind_proxy: bool,
    /// Name that clients may call this server by, with or without a port; may be given several
    /// times. The loopback names always work.
    #[arg(long, value_name = "NAME", requires = "http", conflicts_with = "stdio", value_parser = host)]
    http_host: Vec<String>,
    /// Origin whose pages may call this server, such as `https://app.example.com`; may be given
    /// several times.
    #[arg(long, value_name = "ORIGIN", requires = "http", conflicts_with = "stdio", value_parser = origin)]
    http_origin: Vec<String>,
}

impl Http {
    /// Where to listen, if at all.
    pub(super) fn listen(self) -> Option<Listen> {
        let exposure = match (self.behind_proxy, self.public) {
            (true, _) => Exposure::BehindProxy,
            (false, true) => Exposure::Public,
            (false, false) => Exposure::Loopback,
        };
        Some(Listen {
            address: self.http?,
            token_file: self.token_file,
            principals: self.principals,
            stateless: self.http_stateless,
            json: self.http_json,
            connections: self.http_connections,
            metrics: self.metrics,
            tls: self.tls_cert.zip(self.tls_key),
            exposure,
            hosts: self.http_host,
            origins: self.http_origin,
        })
    }
}

/// Reads an address, or a port alone.
///
/// # Errors
/// What is wrong with it, for clap to show.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| "give an address and a port, such as 127.0.0.1:8931".to_owned())
}

/// Takes a name, with or without a port, as it stands in a `Host` header.
///
/// # Errors
/// As [`address`].
fn host(text: &str) -> Result<String, String> {
    let plain =
        text.parse::<Authority>().is_ok_and(|it| it.as_str() == text && !text.contains('@'));
    let advice = "give a name with or without a port, such as mcp.example.com, and nothing else";
    if plain { Ok(text.to_owned()) } else { Err(advice.to_owned()) }
}

/// Takes an origin as browsers send it (RFC 6454, section 6.1).
///
/// # Errors
/// As [`address`].
fn origin(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, name)) if !scheme.is_empty() && host(name).is_ok() => Ok(text.to_owned()),
        _ => Err("give scheme and name, such as https://app.example.com, and no path".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_origins_are_what_headers_hold() {
        for name in ["mcp.example.com", "mcp.example.com:8443", "[::1]:80", "10.0.0.1"] {
            assert_eq!(host(name).as_deref(), Ok(name));
            assert!(origin(name).is_err());
            let page = format!("https://{name}");
            assert_eq!(origin(&page), Ok(page.clone()));
            assert!(host(&page).is_err() && origin(&format!("{page}/")).is_err());
        }
        for wrong in ["", "a/b", "a b", "u@a", "https://"] {
            assert!(host(wrong).is_err() && origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_port() {
        for (text, meant) in [
            ("8931", "127.0.0.1:8931"),
            ("localhost:1", "127.0.0.1:1"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), meant);
        }
        for wrong in ["", "localhost", "127.0.0.1", "example.com:80", "70000", ":80"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
