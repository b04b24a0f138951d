//! What the operator says of the address.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where and how to listen, as the operator said it.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// The file with the principals, if there are several.
    pub(crate) principals: Option<PathBuf>,
    /// Keep no sessions.
    pub(crate) stateless: bool,
    /// Answer with one JSON document where that can be.
    pub(crate) json: bool,
    /// Connections open at once.
    pub(crate) connections: u16,
    /// Where to serve counters.
    pub(crate) metrics: Option<SocketAddr>,
    /// The files with the certificate and its key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// The address may be a public one.
    pub(crate) public: bool,
    /// A proxy in front takes care of encryption, so the address may be a public one.
    pub(crate) behind_proxy: bool,
    /// More names that clients may call this server by.
    pub(crate) hosts: Vec<String>,
    /// More origins whose pages may call this server.
    pub(crate) origins: Vec<String>,
}
