//! The process of one run: it confines itself, starts the command, performs its mediated calls,
//! reaps its tree and reports the outcome.
//!
//! Why a process of its own: it forks, which only a single-threaded process may do in plain Rust;
//! it is the real ancestor and subreaper of everything it mediates, so orphans stay readable and
//! the tree can be found to the last process; and it parses hostile input, so whatever goes wrong
//! in here ends one run and not the server.

mod bootstrap;
mod canonical;
mod cgroup;
mod confine;
mod defect;
mod foundation;
mod isolate;
mod look;
mod mediate;
mod mounts;
mod observe;
mod own_network;
mod reap;
mod run;
mod snapshot;
mod stage;
mod standby;
mod startup;
mod tree;
mod trial;
mod unix_table;
mod usage;
mod watch;

pub use reap::end_group_of;
pub use run::main;
pub use snapshot::Snapshot;
pub use stage::{SetupFailed, Stage};
pub use startup::Startup;
pub use tree::children;
pub use trial::{attempt, read_attempt};
