//! What a supervisor sees when it looks at its tree.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The tree at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Processes, nearest to the first one first; as many as fit.
    pub processes: Vec<Seen>,
    /// How many there are in all.
    pub total: u32,
    /// The first one found blocked reading the run's input.
    pub waiting: Option<Waiting>,
    /// Sockets that accept connections.
    pub listening: Vec<Listening>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its id.
    pub pid: i32,
    /// Its executable, or its name where the executable cannot be read.
    pub exe: Vec<u8>,
    /// Its zeroth argument.
    pub argv0: Vec<u8>,
}

/// A process that is blocked until somebody gives it input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What it reads.
    pub on: WaitsFor,
    /// Its id.
    pub pid: i32,
    /// Its executable.
    pub exe: Vec<u8>,
}

/// What a waiting process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitsFor {
    /// The run's standard input.
    Stdin,
    /// The run's terminal.
    Terminal,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Where it listens.
    pub address: ListensAt,
    /// Who has it open.
    pub pid: i32,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListensAt {
    /// At an address and port.
    Inet(SocketAddr),
    /// At a path as the program gave it, or an abstract name after `@`: hostile bytes.
    Unix(Vec<u8>),
}
