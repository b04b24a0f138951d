//! What the operator says of the address.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Who may reach an address, and who takes care of encryption then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// This machine alone.
    Loopback,
    /// Other machines; this server speaks TLS with them.
    Public,
    /// A proxy, which speaks TLS with clients.
    BehindProxy,
}

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
    /// Who may reach the address.
    pub(crate) exposure: Exposure,
    /// More names that clients may call this server by.
    pub(crate) hosts: Vec<String>,
    /// More origins whose pages may call this server.
    pub(crate) origins: Vec<String>,
}
