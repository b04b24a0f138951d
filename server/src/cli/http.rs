//! What the command line says about HTTP.

use crate::transport::Listen;
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
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "principals")]
    token_file: Option<PathBuf>,
    /// Serve several principals, each with a token, workspaces, a profile and limits of its own:
    /// a JSON file (docs/http.md). Nothing of one is visible to another.
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "workspace")]
    principals: Option<PathBuf>,
    /// Keep no sessions, so that any server behind a balancer can answer a request.
    #[arg(long, requires = "http")]
    http_stateless: bool,
    /// Answer with one JSON document instead of an event stream, unless there is progress to tell.
    #[arg(long, requires = "http")]
    http_json: bool,
    /// Connections open at once.
    #[arg(long, value_name = "N", requires = "http", default_value_t = 512,
          value_parser = clap::value_parser!(u16).range(8..))]
    http_connections: u16,
    /// Serve counters at /metrics on this loopback address, in the format of Prometheus.
    #[arg(long, value_name = "ADDR", requires = "http", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// File with the certificate (PEM, with those between it and the authority) to speak TLS with.
    #[arg(long, value_name = "FILE", requires_all = ["http", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The address may be one that other machines reach: with TLS and a name (--http-host).
    #[arg(long, requires_all = ["http", "tls_cert"])]
    public: bool,
    /// A proxy that speaks TLS with clients is the only one that reaches the address, which then
    /// need not be a loopback one.
    #[arg(long, requires = "http")]
    behind_proxy: bool,
    /// Name that clients may call this server by, with or without a port; may be given several
    /// times. The loopback names always work.
    #[arg(long, value_name = "NAME", requires = "http")]
    http_host: Vec<String>,
    /// Origin whose pages may call this server, such as `https://app.example.com`; may be given
    /// several times.
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    http_origin: Vec<String>,
}

impl Http {
    /// Where to listen, if at all.
    pub(super) fn listen(self) -> Option<Listen> {
        Some(Listen {
            address: self.http?,
            token_file: self.token_file,
            principals: self.principals,
            stateless: self.http_stateless,
            json: self.http_json,
            connections: self.http_connections,
            metrics: self.metrics,
            tls: self.tls_cert.zip(self.tls_key),
            public: self.public,
            behind_proxy: self.behind_proxy,
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

#[cfg(test)]
mod tests {
    use super::*;

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
