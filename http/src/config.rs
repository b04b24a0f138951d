//! What an operator can set.

use crate::tls::Tls;
use std::num::NonZeroU32;
use std::time::Duration;

/// How the endpoint behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to listen with, if not in the clear.
    pub tls: Option<Tls>,
    /// What clients with a handshake (2025-11-25 and before) get.
    pub sessions: Sessions,
    /// How answers come.
    pub answers: Answers,
    /// `Host` values that are served, with or without a port. Others would be a page that had its
    /// name point here.
    pub hosts: Vec<String>,
    /// `Origin` values that are served, such as `http://localhost:*`. A request without one is no
    /// page's.
    pub origins: Vec<String>,
    /// What connections may take of the server, whoever's they are.
    pub limits: Limits,
}

/// What one principal may take of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Requests open at once.
    pub requests: usize,
    /// Requests in a second; no limit if left out.
    pub per_second: Option<NonZeroU32>,
    /// Sessions, for clients of the protocol's versions that have them.
    pub sessions: usize,
}

impl Default for Share {
    fn default() -> Self {
        Self { requests: 256, per_second: None, sessions: 256 }
    }
}

/// Sessions, for clients of the protocol's versions that have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// A session for each handshake; forgotten after so much silence from both sides. Must be
    /// longer than any call, as a silent call counts as silence.
    Kept {
        /// The longest silence.
        idle: Duration,
    },
    /// No state between two requests, so that any server behind a balancer can answer.
    None,
}

/// How answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As an event stream, which also carries progress.
    Stream,
    /// As one JSON document where nothing comes before it.
    Json,
}

/// What connections may take of the server, whoever's they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once. One more replaces the one that has been idle for longest.
    pub connections: usize,
    /// Bytes in the body of a request.
    pub body_bytes: usize,
    /// Time for the header of a request to arrive, and for an idle connection to say something.
    pub header_time: Duration,
    /// Time for the body of a request to arrive.
    pub body_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            body_bytes: 4 << 20,
            header_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// For programs on this machine.
    #[must_use]
    pub fn loopback(sessions: Sessions) -> Self {
        let names = ["localhost", "127.0.0.1", "::1"];
        let origins = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];
        Self {
            tls: None,
            sessions,
            answers: Answers::Stream,
            hosts: names.map(str::to_owned).into(),
            origins: origins.map(str::to_owned).into(),
            limits: Limits::default(),
        }
    }
}
