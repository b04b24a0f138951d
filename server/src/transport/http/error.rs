//! Why MCP cannot be served over HTTP.

use nono_http::{BadTls, BadToken};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
         on 127.0.0.1, say --public with --tls-cert and --tls-key, or --behind-proxy if a proxy \
         that speaks TLS is the only one that reaches it"
    )]
    Public(SocketAddr),
    /// A public server without a name.
    #[error(
        "a server that others reach has to know its name, or any page could point its own name \
         here; give it with --http-host, such as --http-host mcp.example.com"
    )]
    Nameless,
    /// Counters would be public.
    #[error("--metrics {0} can be reached from other machines; give a loopback address")]
    PublicMetrics(SocketAddr),
    /// The file with the principals cannot be used.
    #[error("principals file {}: {problem}", .path.display())]
    Principals {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS cannot be spoken with these files.
    #[error("{} and {}: {problem}", .certificate.display(), .key.display())]
    Tls {
        /// The certificate's.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
        /// What is wrong with them.
        problem: BadTls,
    },
    /// The key's file keeps no secret.
    #[error("key file {} {problem}", .path.display())]
    OpenKey {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file for TLS cannot be read.
    #[error("{}: {source}; name another file with --tls-cert or --tls-key", .path.display())]
    TlsFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The token in the environment is none.
    #[error("NONO_MCP_TOKEN: {0}")]
    Variable(BadToken),
    /// There is no place to keep a token in.
    #[error("neither NONO_MCP_TOKEN nor --token-file nor HOME is set; set one of them")]
    Homeless,
    /// The token's file cannot be used.
    #[error(
        "token file {}: {source}; name a file that holds a token (--token-file, or token_file of a \
         principal)",
        .path.display()
    )]
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
    /// There is no token in the file.
    #[error("token file {}: {problem}", .path.display())]
    BadToken {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: BadToken,
    },
}
