//! The real `nono-mcp`, from outside: one module for each promise.
#![allow(clippy::expect_used, reason = "the helpers of tests are tests")]

mod attributes;
mod audit;
mod bad_input;
mod blocking;
mod cli;
mod clients;
mod datagrams;
mod denials;
mod denials_exact;
mod environment;
mod errno;
mod escapes;
mod explain;
mod fallback;
mod filesystem;
mod flood;
mod http;
mod lifetime;
mod limits;
mod lives;
mod load;
mod network;
mod output;
mod profiles;
mod progress;
mod protocol;
mod races;
mod results;
mod runs;
mod terminal;
mod tools;
mod unix_names;
mod unix_socket;
mod workloads;
