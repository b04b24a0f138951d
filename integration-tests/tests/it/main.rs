//! The real `nono-mcp`, from outside: one module for each promise.
#![allow(clippy::expect_used, reason = "the helpers of tests are tests")]

mod attributes;
mod bad_input;
mod blocking;
mod cli;
mod clients;
mod datagrams;
mod environment;
mod errno;
mod escapes;
mod fallback;
mod filesystem;
mod flood;
mod lifetime;
mod lives;
mod load;
mod network;
mod protocol;
mod races;
mod results;
mod tools;
mod unix_names;
mod unix_socket;
